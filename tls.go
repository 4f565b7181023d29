// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// maxPairBytes bounds a file of a certificate or a key.
const maxPairBytes = 1 << 20

// keyPairs are certificates and their keys, which can be replaced while
// connections are made: handshakes under way go on with those they began with.
type keyPairs struct {
	current atomic.Pointer[[]tls.Certificate]
}

// loadKeyPairs reads certificates and keys from files: the first certificate
// with the first key, and so on. A certificate's file holds its chain too, its
// own first.
func loadKeyPairs(certs, keys []string) ([]tls.Certificate, error) {
	if len(certs) != len(keys) {
		return nil, fmt.Errorf("%d certificates and %d keys: want a key for each", len(certs), len(keys))
	}
	pairs := make([]tls.Certificate, len(certs))
	for i := range certs {
		cert, err := readBounded(certs[i], maxPairBytes)
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		key, err := readBounded(keys[i], maxPairBytes)
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		if pairs[i], err = tls.X509KeyPair(cert, key); err != nil {
			return nil, fmt.Errorf("%s and %s: %w", certs[i], keys[i], err)
		}
	}
	return pairs, nil
}

// readBounded reads a file of at most so many bytes.
func readBounded(name string, most int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s is larger than %d bytes", name, most)
	}
	return b, err
}

// store makes pairs those of the next handshake.
func (k *keyPairs) store(pairs []tls.Certificate) { k.current.Store(&pairs) }

// pick chooses the first pair that the client can use: of the name it asked
// for, with the algorithms it knows. Where none fits the first is shown, so that
// whoever looks sees which certificates are here.
func (k *keyPairs) pick(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	pairs := *k.current.Load()
	for i := range pairs {
		if hello.SupportsCertificate(&pairs[i]) == nil {
			return &pairs[i], nil
		}
	}
	if len(pairs) == 0 {
		return nil, errors.New("no certificate")
	}
	return &pairs[0], nil
}

// ends returns when the first of the certificates ends, zero without any.
func (k *keyPairs) ends() (first time.Time) {
	pairs := k.current.Load()
	if pairs == nil {
		return first
	}
	for i := range *pairs {
		leaf := (*pairs)[i].Leaf
		if leaf != nil && (first.IsZero() || leaf.NotAfter.Before(first)) {
			first = leaf.NotAfter
		}
	}
	return first
}

// expired names the certificates that are not valid at a time.
func expired(pairs []tls.Certificate, files []string, now time.Time) (list []string) {
	for i := range pairs {
		leaf, err := x509.ParseCertificate(pairs[i].Certificate[0])
		if err != nil || now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
			list = append(list, files[i])
		}
	}
	return list
}

// config is how to speak TLS. Go chooses curves (X25519MLKEM768 first) and
// suites, and changes the keys of session tickets every day. What is spoken
// inside is protocols.
func (k *keyPairs) config(least uint16, protocols ...string) *tls.Config {
	return &tls.Config{MinVersion: least, NextProtos: protocols, GetCertificate: k.pick}
}

// tlsVersions are what --tls.min may say.
var tlsVersions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrBody reports a release document or a module that is not what its hash
// names: damaged, or missing where a release names it.
var ErrBody = errors.New("stored document is missing or damaged")

// errAbsent is the ErrBody of what was never stored, or wholly deleted.
var errAbsent = fmt.Errorf("%w: not stored", ErrBody)

// A bucket keeps documents by their SHA-256.
type bucket struct {
	jetstream.ObjectStore
	name   string
	stream jetstream.Stream // what the objects' chunks lie in
}

func openBucket(ctx context.Context, js jetstream.JetStream, cfg jetstream.ObjectStoreConfig) (b bucket, err error) {
	cfg.Storage = jetstream.FileStorage
	b.name = cfg.Bucket
	if b.ObjectStore, err = js.CreateOrUpdateObjectStore(ctx, cfg); err != nil {
		return b, err
	}
	b.stream, err = js.Stream(ctx, "OBJ_"+cfg.Bucket)
	return b, err
}

// hashOf returns the name that a document has in a bucket.
func hashOf(doc []byte) string {
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:])
}

// validHash reports whether hash could be hashOf something.
func validHash(hash string) bool {
	for i := range len(hash) {
		if c := hash[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(hash) == 2*sha256.Size
}

// put stores a document of at most limit bytes unless it is there whole.
func (b bucket) put(ctx context.Context, hash string, doc []byte, limit uint64) error {
	if _, err := b.get(ctx, hash, limit); err == nil {
		return nil
	} else if !errors.Is(err, ErrBody) {
		return err
	}
	if _, err := b.PutBytes(ctx, hash, doc); err != nil {
		return fmt.Errorf("store document: %w", err)
	}
	return nil
}

// get reads a document of at most limit bytes and checks that it is the one
// its hash names.
func (b bucket) get(ctx context.Context, hash string, limit uint64) ([]byte, error) {
	info, err := b.GetInfo(ctx, hash)
	switch {
	case errors.Is(err, jetstream.ErrObjectNotFound):
		return nil, errAbsent
	case err != nil:
		return nil, fmt.Errorf("read document: %w", err)
	case info.Size > limit:
		return nil, fmt.Errorf("%w: %d bytes", ErrBody, info.Size)
	}
	if err := b.checkChunks(ctx, info); err != nil {
		return nil, err
	}
	doc, err := b.GetBytes(ctx, hash)
	if err != nil && !errors.Is(err, jetstream.ErrDigestMismatch) {
		return nil, fmt.Errorf("read document: %w", err)
	}
	if hashOf(doc) != hash {
		return nil, fmt.Errorf("%w: its hash differs", ErrBody)
	}
	return doc, nil
}

// checkChunks returns ErrBody when some of an object's bytes are gone: reading
// it would wait for the last chunk in vain.
func (b bucket) checkChunks(ctx context.Context, object *jetstream.ObjectInfo) error {
	subject := "$O." + b.name + ".C." + object.NUID
	info, err := b.stream.Info(ctx, jetstream.WithSubjectFilter(subject))
	if err != nil {
		return fmt.Errorf("read document: %w", err)
	}
	if found := info.State.Subjects[subject]; found != uint64(object.Chunks) {
		return fmt.Errorf("%w: %d of %d chunks are there", ErrBody, found, object.Chunks)
	}
	return nil
}

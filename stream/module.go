// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nearside/nearside/edge"
)

// ErrInvalid reports a module, a document, a note or an audit entry that no
// store could keep, or a site that none could have: the key or site is no legal
// one, or there are too many bytes or none. Trying again is useless.
var ErrInvalid = errors.New("is not valid")

// ErrNoModule reports a hash under which no module is stored: an edge.ErrNone.
var ErrNoModule error = missing("no such module")

// PutModule keeps a module's bytes and returns their SHA-256 in lower-case hex,
// the name under which Module finds them. A module is kept for good. Putting
// one that is there is no error and stores nothing, unless what is there is
// damaged: then it is mended. The error is ErrInvalid for no bytes or more than
// edge.MaxModuleBytes; while the log is down it is the reason. After another
// error the module may be kept or not.
func (s *Stream) PutModule(ctx context.Context, wasm []byte) (hash string, err error) {
	if len(wasm) == 0 || len(wasm) > edge.MaxModuleBytes {
		return "", fmt.Errorf("store module: %w: %d bytes, 1 to %d are allowed", ErrInvalid, len(wasm), edge.MaxModuleBytes)
	}
	hash = hashOf(wasm)
	s.modules.Lock()
	defer s.modules.Unlock()
	err = s.write(ctx, func(ctx context.Context, b *broker) error {
		return b.modules.put(ctx, hash, wasm, edge.MaxModuleBytes)
	})
	if err != nil {
		return "", fmt.Errorf("store module %s: %w", hash, err)
	}
	return hash, nil
}

// Module returns the module with a hash; the caller owns the bytes, and they
// are those that were put. The error is ErrNoModule when there is none and
// ErrBody when it is damaged.
func (s *Stream) Module(ctx context.Context, hash string) (wasm []byte, err error) {
	if !validHash(hash) {
		return nil, fmt.Errorf("read module: %w", ErrNoModule)
	}
	err = s.withBroker(ctx, func(ctx context.Context, b *broker) (err error) {
		wasm, err = b.modules.get(ctx, hash, edge.MaxModuleBytes)
		return err
	})
	switch {
	case errors.Is(err, errAbsent):
		return nil, fmt.Errorf("read module %s: %w", hash, ErrNoModule)
	case err != nil:
		return nil, fmt.Errorf("read module %s: %w", hash, err)
	}
	return wasm, nil
}

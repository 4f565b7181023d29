// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
)

func putModule(t *testing.T, s *Stream, wasm []byte) string {
	t.Helper()
	hash, err := s.PutModule(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func TestModulesAreKeptByTheirHash(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	modules := map[string][]byte{
		"one byte":             {0},
		"more than a chunk":    bytes.Repeat([]byte("wasm"), 50_000),
		"as large as they are": bytes.Repeat([]byte{7}, edge.MaxModuleBytes),
	}
	hashes := map[string]string{}
	for name, wasm := range modules {
		hashes[name] = putModule(t, s, wasm)
	}
	if got, want := hashes["one byte"], "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"; got != want {
		t.Errorf("the hash of a zero byte is %s, want %s", got, want)
	}
	closeStream(t, s)
	s = open(t, Options{Dir: dir})
	for name, wasm := range modules {
		if got, err := s.Module(t.Context(), hashes[name]); !bytes.Equal(got, wasm) || err != nil {
			t.Errorf("%s: read %d bytes, %v", name, len(got), err)
		}
	}
	for _, hash := range []string{"", "*", strings.ToUpper(hashes["one byte"]), strings.Repeat("0", 64), hashes["one byte"][1:]} {
		if _, err := s.Module(t.Context(), hash); !errors.Is(err, ErrNoModule) {
			t.Errorf("Module(%q): error %v, want ErrNoModule", hash, err)
		}
	}
}

func TestModulesOfNoLegalSizeAreRefused(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	for _, n := range []int{0, edge.MaxModuleBytes + 1} {
		if _, err := s.PutModule(t.Context(), make([]byte, n)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%d bytes: error %v, want ErrInvalid", n, err)
		}
	}
}

func TestPuttingAModuleAgainStoresNothing(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	wasm := bytes.Repeat([]byte("again"), 100_000)
	var first uint64
	for i := range 3 {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := s.PutModule(t.Context(), wasm); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		info, err := s.broker.modules.stream.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = info.State.LastSeq
		}
		if info.State.LastSeq != first || first == 0 {
			t.Errorf("round %d: newest message %d, after the first round %d", i, info.State.LastSeq, first)
		}
	}
}

func TestADamagedModuleIsAnErrorUntilItIsPutAgain(t *testing.T) {
	wasm := bytes.Repeat([]byte("good"), 100_000)
	tests := []struct {
		name   string
		damage func(t *testing.T, b *broker, hash string)
		want   error
	}{
		{"it is missing", func(t *testing.T, b *broker, hash string) {
			if err := b.modules.Delete(t.Context(), hash); err != nil {
				t.Fatal(err)
			}
		}, ErrNoModule},
		{"it is another one", func(t *testing.T, b *broker, hash string) {
			if _, err := b.modules.PutBytes(t.Context(), hash, []byte("evil")); err != nil {
				t.Fatal(err)
			}
		}, ErrBody},
		{"it is larger than any", func(t *testing.T, b *broker, hash string) {
			if _, err := b.modules.PutBytes(t.Context(), hash, make([]byte, edge.MaxModuleBytes+1)); err != nil {
				t.Fatal(err)
			}
		}, ErrBody},
		{"a chunk is gone", func(t *testing.T, b *broker, _ string) {
			if err := b.modules.stream.DeleteMsg(t.Context(), 2); err != nil {
				t.Fatal(err)
			}
		}, ErrBody},
		{"its last chunk is gone", func(t *testing.T, b *broker, _ string) {
			if err := b.modules.stream.DeleteMsg(t.Context(), 4); err != nil {
				t.Fatal(err)
			}
		}, ErrBody},
		{"all its bytes are gone", func(t *testing.T, b *broker, _ string) {
			if err := b.modules.stream.Purge(t.Context(), jetstream.WithPurgeSubject("$O.modules.C.>")); err != nil {
				t.Fatal(err)
			}
		}, ErrBody},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, Options{Dir: t.TempDir()})
			hash := putModule(t, s, wasm)
			tt.damage(t, s.broker, hash)
			if _, err := s.Module(t.Context(), hash); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if again := putModule(t, s, wasm); again != hash {
				t.Errorf("put again it is %s, it was %s", again, hash)
			}
			if got, err := s.Module(t.Context(), hash); !bytes.Equal(got, wasm) || err != nil {
				t.Errorf("put again: read %d bytes, %v", len(got), err)
			}
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/nearside/nearside/edge"
)

// ErrUnknownModule is wrapped by the error for a hash that a source does not
// have.
var ErrUnknownModule = errors.New("unknown module")

// A ModuleSource holds modules by the SHA-256 of their bytes, in lower-case hex.
// It is called by many goroutines at once.
type ModuleSource interface {
	// Open returns a module, its manifest inside. The caller owns the bytes. An
	// unknown hash is an error that wraps ErrUnknownModule.
	Open(hash string) (wasm []byte, err error)
	// List returns what the source holds, in the source's order. An error tells
	// of modules that are left out; those returned beside it are good.
	List() ([]Listed, error)
}

// A Listed module is one a source holds.
type Listed struct {
	Manifest edge.Manifest
	Hash     string
}

// HashOf returns the hash by which sources and releases name a module. It is of
// all its bytes, the manifest among them.
func HashOf(wasm []byte) string {
	sum := sha256.Sum256(wasm)
	return hex.EncodeToString(sum[:])
}

//go:embed rules/*/rule.wasm
var rules embed.FS

// Embedded returns the modules that come with the product, in name order.
func Embedded() ModuleSource { return folder{rules, "rules/*/rule.wasm"} }

// DirSource returns the modules of a folder: its files NAME.wasm, in name order.
// The folder is read anew each time, so a module can be added while the source
// is in use; one that is replaced has another hash.
func DirSource(dir string) ModuleSource { return folder{os.DirFS(dir), "*.wasm"} }

// A folder is a source over those files that have a matching path.
type folder struct {
	files   fs.FS
	pattern string
}

// names are the paths of the source's files. A pattern alone would give none
// for a folder that cannot be read.
func (f folder) names() ([]string, error) {
	if _, err := fs.ReadDir(f.files, "."); err != nil {
		return nil, fmt.Errorf("list modules: %w", err)
	}
	return fs.Glob(f.files, f.pattern)
}

// Open implements ModuleSource. A file that cannot be read does not hide the
// one that is wanted; it is named if that one is not found.
func (f folder) Open(hash string) ([]byte, error) {
	names, err := f.names()
	if err != nil {
		return nil, err
	}
	errs := []error{fmt.Errorf("%w %.64q", ErrUnknownModule, hash)}
	for _, name := range names {
		wasm, err := f.read(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if HashOf(wasm) == hash {
			return wasm, nil
		}
	}
	return nil, errors.Join(errs...)
}

// List implements ModuleSource.
func (f folder) List() ([]Listed, error) {
	names, err := f.names()
	if err != nil {
		return nil, err
	}
	var list []Listed
	var errs []error
	for _, name := range names {
		wasm, err := f.read(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		manifest, err := ReadManifest(wasm)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		list = append(list, Listed{manifest, HashOf(wasm)})
	}
	return list, errors.Join(errs...)
}

func (f folder) read(name string) ([]byte, error) {
	// Opening a pipe would wait for its writer, so look before.
	info, err := fs.Stat(f.files, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", name)
	}
	file, err := f.files.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, MaxModuleBytes+1))
	if err != nil {
		return nil, err
	}
	if len(b) > MaxModuleBytes {
		return nil, fmt.Errorf("%s: more than %d bytes", name, MaxModuleBytes)
	}
	return b, nil
}

// Chain returns the modules of several sources as one. The first source that
// has a hash opens it.
func Chain(sources ...ModuleSource) ModuleSource { return chain(sources) }

type chain []ModuleSource

// Open implements ModuleSource.
func (c chain) Open(hash string) ([]byte, error) {
	var errs []error
	for _, s := range c {
		wasm, err := s.Open(hash)
		if err == nil {
			return wasm, nil
		}
		if !errors.Is(err, ErrUnknownModule) {
			return nil, err
		}
		errs = append(errs, err)
	}
	if errs == nil {
		errs = append(errs, fmt.Errorf("%w %.64q", ErrUnknownModule, hash))
	}
	return nil, errors.Join(errs...)
}

// List implements ModuleSource.
func (c chain) List() ([]Listed, error) {
	var list []Listed
	var errs []error
	for _, s := range c {
		more, err := s.List()
		list = append(list, more...)
		errs = append(errs, err)
	}
	return list, errors.Join(errs...)
}

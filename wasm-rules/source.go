// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/nearside/nearside/edge"
)

// ErrUnknownModule is wrapped by the error for a hash that a source does not
// have.
var ErrUnknownModule = errors.New("unknown module")

// A ModuleSource holds modules by the SHA-256 of their bytes, in lower-case hex.
// It is called by many goroutines at once.
type ModuleSource interface {
	// Open returns a module and its manifest. The caller owns the bytes. An
	// unknown hash is an error that wraps ErrUnknownModule.
	Open(hash string) (wasm []byte, manifest edge.Manifest, err error)
	// List returns what the source holds, in the source's order. An error tells
	// of modules that are left out; those returned beside it are good.
	List() ([]Listed, error)
}

// A Listed module is one a source holds.
type Listed struct {
	Manifest edge.Manifest
	Hash     string
}

// HashOf returns the hash by which sources and releases name a module.
func HashOf(wasm []byte) string {
	sum := sha256.Sum256(wasm)
	return hex.EncodeToString(sum[:])
}

// maxManifestBytes bounds a manifest file: 32 slots of 255 variants fit well.
const maxManifestBytes = 1 << 20

//go:embed rules/*/rule.wasm rules/*/manifest.json
var rules embed.FS

// Embedded returns the modules that come with the product, in name order.
func Embedded() ModuleSource {
	return folder{files: rules, pairs: func(files fs.FS) ([]pair, error) {
		wasm, err := fs.Glob(files, "rules/*/rule.wasm")
		pairs := make([]pair, len(wasm))
		for i, name := range wasm {
			pairs[i] = pair{name, path.Join(path.Dir(name), "manifest.json")}
		}
		return pairs, err
	}}
}

// DirSource returns the modules of a folder: a file NAME.wasm and its manifest
// NAME.json, in name order. The folder is read anew each time, so a module can
// be added while the source is in use; one that is replaced has another hash.
func DirSource(dir string) ModuleSource {
	return folder{files: os.DirFS(dir), pairs: func(files fs.FS) ([]pair, error) {
		entries, err := fs.ReadDir(files, ".")
		var pairs []pair
		for _, e := range entries {
			if name, ok := strings.CutSuffix(e.Name(), ".wasm"); ok {
				pairs = append(pairs, pair{e.Name(), name + ".json"})
			}
		}
		return pairs, err
	}}
}

// A pair names a module's two files.
type pair struct{ wasm, manifest string }

// A folder is a source over files.
type folder struct {
	files fs.FS
	pairs func(fs.FS) ([]pair, error)
}

// Open implements ModuleSource. A file that cannot be read does not hide the
// one that is wanted; it is named if that one is not found.
func (f folder) Open(hash string) ([]byte, edge.Manifest, error) {
	pairs, err := f.pairs(f.files)
	if err != nil {
		return nil, edge.Manifest{}, fmt.Errorf("list modules: %w", err)
	}
	var errs []error
	for _, p := range pairs {
		wasm, err := f.read(p.wasm, MaxModuleBytes)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if HashOf(wasm) == hash {
			manifest, err := f.manifest(p.manifest)
			return wasm, manifest, err
		}
	}
	return nil, edge.Manifest{}, errors.Join(append([]error{fmt.Errorf("%w %.64q", ErrUnknownModule, hash)}, errs...)...)
}

// List implements ModuleSource.
func (f folder) List() ([]Listed, error) {
	pairs, err := f.pairs(f.files)
	if err != nil {
		return nil, fmt.Errorf("list modules: %w", err)
	}
	var list []Listed
	var errs []error
	for _, p := range pairs {
		wasm, err := f.read(p.wasm, MaxModuleBytes)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		manifest, err := f.manifest(p.manifest)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		list = append(list, Listed{manifest, HashOf(wasm)})
	}
	return list, errors.Join(errs...)
}

func (f folder) read(name string, most int64) ([]byte, error) {
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
	b, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("%s: more than %d bytes", name, most)
	}
	return b, nil
}

func (f folder) manifest(name string) (edge.Manifest, error) {
	var m edge.Manifest
	b, err := f.read(name, maxManifestBytes)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("%s: %w", name, err)
	}
	if err := m.Validate(); err != nil {
		return m, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// Chain returns the modules of several sources as one. The first source that
// has a hash opens it.
func Chain(sources ...ModuleSource) ModuleSource { return chain(sources) }

type chain []ModuleSource

// Open implements ModuleSource.
func (c chain) Open(hash string) ([]byte, edge.Manifest, error) {
	var errs []error
	for _, s := range c {
		wasm, manifest, err := s.Open(hash)
		if err == nil {
			return wasm, manifest, nil
		}
		if !errors.Is(err, ErrUnknownModule) {
			return nil, edge.Manifest{}, err
		}
		errs = append(errs, err)
	}
	if errs == nil {
		errs = append(errs, fmt.Errorf("%w %.64q", ErrUnknownModule, hash))
	}
	return nil, edge.Manifest{}, errors.Join(errs...)
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

// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nearside/nearside/edge"
)

// baseFile is where a directory remembers what its files began with.
const baseFile = ".nearside/base.json"

// A Base is the release that a directory's files began with or became last.
type Base struct {
	Site   string `json:"site"`
	Number uint64 `json:"number"`
	// Hash is that of what the release says, as Hash gives it.
	Hash string `json:"hash"`
	// Files are the SHA-256 of the files that were exported, by path: one that
	// differs is somebody's work.
	Files map[string]string `json:"files,omitempty"`
}

// Hash returns the SHA-256 of what a release says in lower-case hex, whatever
// its number and whatever publishing made of it.
func Hash(doc *edge.ReleaseDocument) string {
	said := *canonical(doc)
	text, err := json.Marshal(&said)
	if err != nil {
		panic(fmt.Sprintf("release document: %v", err)) // every part of it was decoded from JSON
	}
	return sum(text)
}

func sum(text []byte) string {
	hash := sha256.Sum256(text)
	return hex.EncodeToString(hash[:])
}

// ReadBase returns what the files of a directory began with, nil where it has no
// base.
func ReadBase(dir string) (*Base, error) {
	text, err := os.ReadFile(filepath.Join(dir, baseFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var b Base
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, baseFile), err)
	}
	return &b, nil
}

// Write remembers the base in a directory.
func (b *Base) Write(dir string) error {
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(dir, baseFile, append(text, '\n'))
}

// An ExportError says which files an export would have overwritten or removed
// that are somebody's work.
type ExportError struct{ Files []string }

// Error implements error.
func (e *ExportError) Error() string {
	return "changed since the last export, or not of it: " + strings.Join(e.Files, ", ")
}

// ErrLayout is what Export returns where the files say what the release says, and
// somebody laid them out: only the base was written.
var ErrLayout = errors.New("the files say what is live, and are laid out otherwise than an export would")

// Export writes a release into a directory, beside it the JSON Schema and the
// base, and removes the files of an earlier export that are no more. Files that
// somebody changed or made are an ExportError, or ErrLayout where they say the
// same; those of another site are an error too, and nothing is written. With
// force they are overwritten and removed like the others.
func Export(dir string, doc *edge.ReleaseDocument, force bool) error {
	files, err := Render(doc)
	if err == nil {
		err = comesBack(files, doc)
	}
	if err != nil {
		return fmt.Errorf("the release cannot be written as files: %w", err)
	}
	before, err := ReadBase(dir)
	if err != nil && !force {
		return err
	}
	if before == nil {
		before = &Base{}
	}
	if before.Site != "" && before.Site != doc.Site && !force {
		return fmt.Errorf("the files are of site %s", before.Site)
	}
	there, err := siteFilesIn(dir)
	if err != nil {
		return err
	}
	var foreign []string
	for name, hash := range there {
		if hash != before.Files[name] && hash != sum(files[name]) {
			foreign = append(foreign, name)
		}
	}
	base := Base{Site: doc.Site, Number: doc.Number, Hash: Hash(doc), Files: map[string]string{}}
	if slices.Sort(foreign); len(foreign) > 0 && !force {
		if !says(dir, doc) {
			return &ExportError{foreign}
		}
		base.Files = before.Files
		return cmp.Or(base.Write(dir), ErrLayout)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		base.Files[name] = sum(files[name])
		if err := writeFile(dir, name, files[name]); err != nil {
			return err
		}
	}
	for name := range there {
		if files[name] == nil {
			if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
				return err
			}
		}
	}
	if err := writeFile(dir, SchemaFile, Schema()); err != nil {
		return err
	}
	return base.Write(dir) // last: what was interrupted is found again
}

// says reports whether the files of a directory say what a release says. What they
// leave out of a module is taken from the release's of that name.
func says(dir string, doc *edge.ReleaseDocument) bool {
	files, err := Read(os.DirFS(dir))
	if err != nil {
		return false
	}
	for i := range files.Document.Modules {
		ref := &files.Document.Modules[i]
		for _, live := range doc.Modules {
			if live.Name == ref.Name {
				ref.Version, ref.Hash = cmp.Or(ref.Version, live.Version), cmp.Or(ref.Hash, live.Hash)
				break
			}
		}
	}
	return Hash(&files.Document) == Hash(doc)
}

// comesBack reads rendered files: an engine may allow what no file can say.
func comesBack(files map[string][]byte, doc *edge.ReleaseDocument) error {
	var contents []content
	for _, name := range slices.Sorted(maps.Keys(files)) {
		contents = append(contents, content{name, files[name]})
	}
	back, err := read(contents)
	if err == nil && Hash(&back.Document) != Hash(doc) {
		err = errors.New("they would say something else")
	}
	return err
}

// siteFilesIn returns the hashes of the site files of a directory; none of one
// that is not there.
func siteFilesIn(dir string) (map[string]string, error) {
	out := map[string]string{}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	contents, err := gather(os.DirFS(dir))
	if findings, ok := errors.AsType[Findings](err); ok && findings[0].Code == CodeMissing {
		return out, nil
	}
	for _, c := range contents {
		out[c.name] = sum(c.content)
	}
	return out, err
}

// writeFile writes a file whole or not at all, and the folders to it. A folder that
// is a link is refused: what is behind it is not among the directory's files, so
// nobody looked whether somebody's work is there.
func writeFile(dir, name string, content []byte) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	folder := path.Dir(name)
	if err := root.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	for at := folder; at != "."; at = path.Dir(at) {
		if info, err := root.Lstat(at); err != nil || !info.IsDir() {
			return errors.Join(err, fmt.Errorf("%s is no folder of its own: a link is not followed", filepath.Join(dir, filepath.FromSlash(at))))
		}
	}
	part := path.Join(folder, ".near-"+rand.Text())
	err = root.WriteFile(part, content, 0o644)
	if err == nil {
		err = root.Rename(part, name)
	}
	if err != nil {
		_ = root.Remove(part)
	}
	return err
}

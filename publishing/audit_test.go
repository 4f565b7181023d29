// SPDX-License-Identifier: Apache-2.0

package publishing_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nearside/nearside/publishing"
)

// Who has the disk puts an older audit log back: readers are told so, see what is
// left, and a bad release can be taken back all the same.
func TestABrokenAuditLogIsToldAndStopsNobody(t *testing.T) {
	b, op := newBench(t), publishing.Operator()
	b.upload(t, "1.0.0")
	if log, err := b.Audit(t.Context(), op, "shop", 0); err != nil || log.Broken != "" || len(log.Entries) != 2 {
		t.Fatalf("log %+v, %v", log, err)
	}
	older := filepath.Join(t.TempDir(), "audit")
	b.close(t)
	folder := b.auditFolder(t)
	if err := os.CopyFS(older, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	b.open(t)
	if _, err := b.Do(t.Context(), op, "shop", publish(placement("1.0.0"))); err != nil {
		t.Fatal(err)
	}
	b.close(t)
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(folder, os.DirFS(older)); err != nil {
		t.Fatal(err)
	}
	b.open(t)
	log, err := b.Audit(t.Context(), op, "shop", 0)
	if err != nil || !strings.Contains(log.Broken, "at entry 3") || len(log.Entries) != 2 || log.Entries[0].Act != publishing.ActUpload {
		t.Errorf("log %+v, %v", log, err)
	}
	status, err := b.Status(t.Context(), op, "shop")
	if err != nil || status.Release != 2 {
		t.Errorf("status %+v, %v", status, err)
	}
	out, err := b.Do(t.Context(), op, "shop", rollback(0))
	if err != nil || out.Release != 3 || len(b.document(t).Modules) != 0 {
		t.Errorf("rollback %+v, %v", out, err)
	}
}

// auditFolder is where the bench's store has its audit log.
func (b *bench) auditFolder(t testing.TB) (folder string) {
	t.Helper()
	err := filepath.WalkDir(b.options.Dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "AUDIT" {
			folder = path
		}
		return err
	})
	if err != nil || folder == "" {
		t.Fatalf("no audit log in %s: %v", b.options.Dir, err)
	}
	return folder
}

func TestTheNewestEntriesAreTold(t *testing.T) {
	b, op := newBench(t), publishing.Operator()
	b.put(t, site("other"), 0)
	for _, version := range []string{"1.0.0", "1.1.0", "1.2.0", "1.3.0"} {
		b.upload(t, version)
	}
	for limit, want := range map[int]string{
		1: "weather@1.3.0", 2: "weather@1.3.0 weather@1.2.0", 3: "weather@1.3.0 weather@1.2.0 weather@1.1.0",
		4: "weather@1.3.0 weather@1.2.0 weather@1.1.0 weather@1.0.0", 5: "weather@1.3.0 weather@1.2.0 weather@1.1.0 weather@1.0.0 ",
		0: "weather@1.3.0 weather@1.2.0 weather@1.1.0 weather@1.0.0 ",
	} {
		for name, ask := range map[string]struct {
			by   publishing.Actor
			site string
		}{"of a site": {op, "shop"}, "of all that one sees": {actor("eve", publishing.Viewer), ""}} {
			log, err := b.Audit(t.Context(), ask.by, ask.site, limit)
			if err != nil {
				t.Fatal(err)
			}
			var modules []string
			for _, e := range log.Entries {
				modules = append(modules, e.Module)
			}
			if got := strings.Join(modules, " "); got != want {
				t.Errorf("the newest %d %s: %q, want %q", limit, name, got, want)
			}
		}
	}
}

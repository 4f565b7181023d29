// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// TestAnotherProgramReadsTheParquetFiles lets hyparquet, a reader in JavaScript,
// say what is in the files.
func TestAnotherProgramReadsTheParquetFiles(t *testing.T) {
	reader := installReader(t)
	l, dir := openLog(t, t.TempDir()), t.TempDir()
	at := time.Date(2026, 11, 27, 9, 30, 0, 123e6, time.UTC)
	body := `{"v":1,"id":"p1.0","name":"purchase","at":1795771800123,"site":"shop","node":"n1","received":1795771800200,"view":"p7","session":"s1",` +
		`"origin":"second","consent":{"purposes":255,"authority":"owner","policy":"strict"},"release":7,"surface":"web","page":{"path":"/a","type":"checkout"},` +
		`"visitor":{"id":"abc","visits":3},"geo":{"country":"FR"},"lang":"fr","items":[{"item_id":"hat-1"}],"value":"12345678901234567890.01","currency":"EUR","props":{"coupon":"été <3"}}`
	full := edge.StoredEvent{ID: "p1.0", Name: "purchase", Transaction: "T-1", At: at, Expires: time.Date(2099, 1, 2, 3, 4, 5, 0, time.UTC), JSON: []byte(body)}
	publish(t, l, eventOf(full, "ann"), eventOf(edge.StoredEvent{ID: "odd", At: at, Purposes: consent.Measure, Expires: full.Expires,
		JSON: []byte(`{"v":1,"id":"odd","release":"seven","consent":{"purposes":2,"authority":"owner","policy":"uk","receipt":"r1"}}`)}, ""))
	many := make([]edge.Event, 0, 3000)
	for range cap(many) {
		many = append(many, eventOf(edge.StoredEvent{ID: "m" + time.Now().Format("150405.000000000"), At: at, Expires: full.Expires}, "bob"))
	}
	publish(t, l, many...)
	p, _ := start(t, l, parse(t, "- {name: columns, kind: parquet, dir: '"+dir+"', from: start, rotateAfter: 1s}"))
	caughtUp(t, l, p)
	files, err := filepath.Glob(filepath.Join(dir, "day=2026-11-27", "site=shop", "*-until-20990102.parquet"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files %v, %v", files, err)
	}
	rows := read(t, reader, files)
	if len(rows) != 3002 {
		t.Fatalf("%d rows, want 3002", len(rows))
	}
	got := rows["p1.0"]
	for column, want := range map[string]any{
		"seq": 1., "index": 0., "person": personOf("ann").String(), "name": "purchase", "site_id": "shop", "node": "n1",
		"at": "2026-11-27T09:30:00.123Z", "received": "2026-11-27T09:30:00.200Z", "expires": "2099-01-02T03:04:05.000Z",
		"view": "p7", "session": "s1", "origin": "second", "surface": "web", "purposes": 255., "authority": "owner", "policy": "strict", "release": 7.,
		"transaction": "T-1", "value": "12345678901234567890.01", "currency": "EUR", "page": `{"path":"/a","type":"checkout"}`,
		"visitor": `{"id":"abc","visits":3}`, "items": `[{"item_id":"hat-1"}]`, "props": `{"coupon":"été <3"}`, "fields": `{"geo":{"country":"FR"},"lang":"fr"}`,
		"profile": nil, "decision": nil,
	} {
		if got[column] != want {
			t.Errorf("%s is %v, want %v", column, got[column], want)
		}
	}
	odd := rows["odd"]
	if odd["release"] != nil || odd["person"] != nil || odd["fields"] != `{"consent":{"purposes":2,"authority":"owner","policy":"uk","receipt":"r1"},"release":"seven"}` {
		t.Errorf("what fits no column is %v", odd)
	}
}

// read returns the rows by id, and checks the columns that the reader tells of.
func read(t *testing.T, reader string, files []string) map[string]map[string]any {
	t.Helper()
	cmd := exec.Command("node", append([]string{filepath.Join(reader, "read.mjs")}, files...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	rows := map[string]map[string]any{}
	for line := range strings.Lines(string(out)) {
		var head struct {
			Columns map[string]string
			Codecs  []string
		}
		var one map[string]any
		if json.Unmarshal([]byte(line), &head) == nil && head.Columns != nil {
			for name, want := range map[string]string{"at": "TIMESTAMP", "seq": "INTEGER", "id": "STRING", "purposes": "INTEGER"} {
				if head.Columns[name] != want {
					t.Errorf("the column %s is of type %q, want %s", name, head.Columns[name], want)
				}
			}
			if len(head.Codecs) != 1 || head.Codecs[0] != "ZSTD" {
				t.Errorf("codecs %v", head.Codecs)
			}
			continue
		}
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		rows[one["id"].(string)] = one
	}
	return rows
}

// installReader installs the reader in a directory of its own.
func installReader(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%v (scripts/deps.sh installs it)", err)
			}
			t.Skip(err)
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/reader")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return dir
}

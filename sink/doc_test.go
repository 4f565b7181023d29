// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"encoding/json"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// blocks returns the blocks of a language in the document.
func blocks(t *testing.T, language string) (all []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/SINKS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(text), "\n```"+language+"\n")[1:] {
		block, _, ok := strings.Cut(part, "\n```")
		if !ok {
			t.Fatal("a block has no end")
		}
		all = append(all, block)
	}
	if len(all) == 0 {
		t.Fatalf("the document has no block of %s", language)
	}
	return all
}

func TestTheDocumentsFileOfSinksIsOne(t *testing.T) {
	dir := t.TempDir()
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	for name, content := range map[string]string{
		"warehouse": testSecret, "internal-ca.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.NewReplacer("/run/secrets/", dir+"/", "/etc/ssl/", dir+"/").Replace(blocks(t, "yaml")[0])
	specs, err := Parse("SINKS.md", []byte(text), func(name string) (string, bool) { return testSecret, name == "CRM_SECRET" })
	if err != nil {
		t.Fatal(err)
	}
	if len(specs) != 4 || specs[1].RotateBytes != 16<<20 || specs[2].MaxEvents != 50 || specs[3].Needs.Has(thirdPartyNeeds) {
		t.Errorf("it means %+v", specs)
	}
}

// The document's events and messages have the members that ours have.
func TestTheDocumentsMessagesAreAsTheyAreSent(t *testing.T) {
	at := time.UnixMilli(1795771800123)
	e := Event{Seq: 4711, StoredEvent: edge.StoredEvent{
		JSON: []byte(`{"v":1,"id":"p7.1","name":"purchase","at":1795771800123,"site":"shop","value":"19.99","currency":"EUR"}`), Expires: at.Add(365 * 24 * time.Hour),
	}}
	key, err := edge.ParsePersonKey("6f1d2c3b4a5968778695a4b3c2d1e0f0")
	if err != nil {
		t.Fatal(err)
	}
	e.Visitor = key
	said := blocks(t, "json")
	if line := string(appendLine(nil, &e)); line != said[0] {
		t.Errorf("a line is\n%s\nthe document says\n%s", line, said[0])
	}
	e = Event{Seq: 4711, Received: time.Date(2026, 11, 27, 9, 30, 0, 2e8, time.UTC), StoredEvent: edge.StoredEvent{JSON: []byte(`{"v":1,"id":"p7.1","name":"purchase"}`)}}
	stored, deleted, _ := strings.Cut(said[1], "\n")
	h := &hook{spec: &Spec{Name: "crm"}, now: time.Now, steady: time.Now, forgotten: func(edge.Person, uint64) bool { return false }}
	if m := h.eventMessage([]Event{e}, []int{0}); string(m.body) != stored {
		t.Errorf("a message is\n%s\nthe document says\n%s", m.body, stored)
	}
	m, err := h.deletionMessage(edge.Forgetting{Person: edge.Person{Site: "shop", Key: key}, At: time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC), Before: 4800})
	var got, want any
	if err != nil || json.Unmarshal(m.body, &got) != nil || json.Unmarshal([]byte(deleted), &want) != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("a deletion is\n%s, %v\nthe document says\n%s", m.body, err, deleted)
	}
}

// Every column is in the document.
func TestTheDocumentNamesEveryColumn(t *testing.T) {
	text, err := os.ReadFile("../docs/SINKS.md")
	if err != nil {
		t.Fatal(err)
	}
	of := reflect.TypeFor[row]()
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("parquet"), ",")
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("the document has no column %s", name)
		}
	}
	for name := range kinds {
		for _, m := range append(commonMembers, kinds[name].members...) {
			if !strings.Contains(string(text), m.name) {
				t.Errorf("the document has no member %s of a %s", m.name, name)
			}
		}
	}
}

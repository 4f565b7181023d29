// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

func testEnv(name string) (string, bool) {
	value, ok := map[string]string{"HOOK": testSecret, "SHORT": "whsec_c2hvcnQ=", "WORD": "hunter2"}[name]
	return value, ok
}

func TestAFileOfSinksIsReadWithItsDefaults(t *testing.T) {
	specs, err := Parse("sinks.yaml", []byte(`
# the owner's own
- name: archive
  kind: parquet
  dir: /var/lib/nearside/archive/
  sites: [shop, blog]
  from: start
- {name: lines, kind: jsonl, dir: /var/lib/nearside/lines, gzip: true, rotateBytes: 1_000_000, rotateAfter: 90s, needs: [profile]}
- {name: crm, kind: webhook, url: "https://crm.example/in", secretEnv: HOOK, allow: [10.1.2.3/16], timeout: 3s, concurrency: 2, maxEvents: 10, maxBytes: 2000}
- {name: own-hook, kind: webhook, url: "https://in.example/", secretEnv: HOOK, needs: [measure]}
`), testEnv)
	if err != nil {
		t.Fatal(err)
	}
	archive, lines, crm, own := specs[0], specs[1], specs[2], specs[3]
	if archive.Dir != "/var/lib/nearside/archive" || len(archive.Sites) != 2 || !archive.FromStart || archive.Needs != consent.Measure || archive.RotateBytes != 64<<20 || archive.RotateAfter != 5*time.Minute {
		t.Errorf("archive %+v", archive)
	}
	if !lines.Gzip || lines.FromStart || lines.RotateBytes != 1_000_000 || lines.RotateAfter != 90*time.Second || lines.Needs != consent.Measure|consent.Profile {
		t.Errorf("lines %+v", lines)
	}
	if crm.Needs != consent.Measure|consent.Share || len(crm.Secret) != 24 || crm.URL.Host != "crm.example" || crm.Allow[0].String() != "10.1.0.0/16" ||
		crm.Timeout != 3*time.Second || crm.Concurrency != 2 || crm.MaxEvents != 10 || crm.MaxBytes != 2000 {
		t.Errorf("crm %+v", crm)
	}
	if own.Needs != consent.Measure || own.MaxEvents != 100 || own.MaxBytes != 1<<20 || own.Timeout != 10*time.Second {
		t.Errorf("own %+v", own)
	}
}

func TestWhatIsWrongWithAFileOfSinksIsSaidByLineAndMember(t *testing.T) {
	short := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(short, []byte("whsec_hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ give, want string }{
		{"", "sinks.yaml:1: there is no sink"},
		{"a: 1", "sinks.yaml:1: it is a mapping, want a list"},
		{"- a\n- [b]", "sinks.yaml:2: it is a list, want a mapping"},
		{"- {name: a\n", "sinks.yaml:"},
		{"- name: a", "sinks.yaml:1: kind is missing: one of jsonl, parquet, webhook"},
		{"- name: a\n  kind: kafka", `sinks.yaml:2: kind: there is no "kafka"`},
		{"- name: a\n  kind: jsonl\n  dirr: /x", `sinks.yaml:3: a jsonl sink has no member "dirr"; `},
		{"- name: a\n  kind: parquet\n  dir: /x\n  gzip: true", `sinks.yaml:4: a parquet sink has no member "gzip"`},
		{"- kind: jsonl\n  dir: /x", "sinks.yaml:1: name is missing"},
		{"- kind: jsonl\n  name: a", "sinks.yaml:1: dir is missing"},
		{"- {kind: jsonl, name: A b, dir: /x}", `name: "A b" is not words`},
		{"- {kind: jsonl, name: a, dir: x/y}", "dir: want a directory's whole path"},
		{"- {kind: jsonl, name: a, dir: /}", "dir: want a directory's whole path"},
		{"- {kind: jsonl, name: a, dir: /x, rotateBytes: 10}", "rotateBytes: want a whole number from 65536"},
		{"- {kind: jsonl, name: a, dir: /x, rotateAfter: 10}", "rotateAfter: want a duration from 1s"},
		{"- {kind: jsonl, name: a, dir: /x, gzip: yes}", "gzip: want true or false"},
		{"- {kind: jsonl, name: a, dir: /x, needs: [shere]}", "needs: "},
		{"- {kind: jsonl, name: a, dir: /x, needs: share}", "needs: it is a plain value, want a list"},
		{"- {kind: jsonl, name: a, dir: /x, sites: []}", "sites: it is empty"},
		{"- {kind: jsonl, name: a, dir: /x, sites: ['*']}", `sites: "*" is not a site's id`},
		{"- {kind: jsonl, name: a, dir: /x, from: yesterday}", "from: want start or now"},
		{"- {kind: jsonl, name: a, dir: /x}\n- {kind: jsonl, name: a, dir: /y}", "two sinks have the name a"},
		{"- {kind: jsonl, name: a, dir: /x}\n- {kind: jsonl, name: b, dir: /x/}", "two sinks have the dir /x"},
		{"- {kind: jsonl, name: a, dir: /x}\n- {kind: jsonl, name: b, dir: /x/y}", "the dir of b lies in that of a"},
		{"- {kind: jsonl, name: a, name: b, dir: /x}", `"name" stands here twice`},
		{"- &x {kind: jsonl, name: a, dir: /x}\n- *x", "no anchors"},
		{"- {kind: jsonl, name: a, dir: /x}\n---\n- a", "two documents"},
		{"- {kind: webhook, name: a, url: 'https://a.example'}", "secretEnv or secretFile is missing"},
		{"- {kind: webhook, name: a, url: 'http://a.example', secretEnv: HOOK}", "url: want an address like https"},
		{"- {kind: webhook, name: a, url: 'https://u:hunter2@a.example', secretEnv: HOOK}", "url: want an address like https"},
		{"- {kind: webhook, name: a, url: 'https://a.example', secretEnv: NONE}", "secretEnv: the environment has no NONE"},
		{"- {kind: webhook, name: a, url: 'https://a.example', secretEnv: SHORT}", "secretEnv: the secret is not whsec_ and 24 to 64 bytes"},
		{"- {kind: webhook, name: a, url: 'https://a.example', secretEnv: WORD}", "secretEnv: the secret is not"},
		{"- {kind: webhook, name: a, url: 'https://a.example', secretFile: " + short + "}", "secretFile: the secret is not"},
		{"- {kind: webhook, name: a, url: 'https://a.example', secretFile: /nowhere}", "secretFile: "},
		{"- {kind: webhook, name: a, url: 'https://a.example', secretEnv: HOOK, caFile: " + short + "}", "holds no certificate"},
		{"- {kind: webhook, name: a, url: 'https://a.example', secretEnv: HOOK, allow: [10.0.0.1]}", `allow: "10.0.0.1" is not a prefix`},
		{"- {kind: webhook, name: a, url: 'https://a.example', secretEnv: HOOK, concurrency: 33}", "concurrency: want a whole number from 1 to 32"},
		{strings.Repeat("- {kind: jsonl, name: a, dir: /x}\n", MaxSinks+1), "33 sinks, at most 32"},
		{strings.Repeat("#", MaxFileBytes+1), "at most 262144 are allowed"},
	} {
		_, err := Parse("sinks.yaml", []byte(tt.give), testEnv)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.200q: %v\nwant %s", tt.give, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.200q: the error shows a secret: %v", tt.give, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("- {name: lines, kind: jsonl, dir: /x, needs: [share], rotateAfter: 5m}"))
	f.Add([]byte("- name: crm\n  kind: webhook\n  url: https://crm.example/in\n  secretEnv: HOOK\n  allow: ['::1/128']\n"))
	f.Add([]byte("- &a [*a, !!x {? [] : 1}]\n--- |\n %"))
	f.Fuzz(func(t *testing.T, content []byte) {
		specs, err := Parse("sinks.yaml", content, testEnv)
		if err != nil && specs != nil {
			t.Error("half of a file was taken")
		}
		for _, s := range specs {
			if s.Name == "" || !s.Needs.Has(consent.Measure) || len(s.Name) > maxNameBytes || s.Dir == "" && s.URL == nil || s.URL != nil && s.URL.Scheme != "https" {
				t.Errorf("a sink of %+v", s)
			}
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package publishing_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// rules describes the live rules of the slot hero.
func (b *bench) rules(t testing.TB) string {
	t.Helper()
	status, err := b.Status(t.Context(), publishing.Operator(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	var describe func(r publishing.RuleStatus) string
	describe = func(r publishing.RuleStatus) string {
		text, _ := json.Marshal(r.Share)
		s := r.Module + "@" + r.Version + " " + string(text)
		if r.Shadow {
			s += " shadow"
		}
		if r.Before != nil {
			s += " before " + describe(*r.Before)
		}
		return s
	}
	for _, slot := range status.Slots {
		for _, rung := range slot.Rungs {
			for _, r := range rung.Rules {
				out = append(out, slot.Slot+" "+rung.Rung+" "+describe(r))
			}
		}
	}
	return strings.Join(out, "; ")
}

// A module's way from upload to everybody and back.
func TestTheLifeOfAModule(t *testing.T) {
	b := newBench(t)
	op := publishing.Operator()
	b.upload(t, "1.0.0")
	b.upload(t, "1.1.0")
	steps := []struct {
		name string
		do   func() (*publishing.Outcome, error)
		want string
	}{
		{"publish to everybody", func() (*publishing.Outcome, error) { return b.Do(t.Context(), op, "shop", publish(placement("1.0.0"))) },
			"hero context weather@1.0.0 10000"},
		{"the next version in shadow", func() (*publishing.Outcome, error) { return b.Do(t.Context(), op, "shop", shadow(placement("1.1.0"))) },
			"hero context weather@1.0.0 10000; hero context weather@1.1.0 0 shadow"},
		{"begin to show it", func() (*publishing.Outcome, error) {
			return b.Do(t.Context(), op, "shop", rollout(1000))
		},
			"hero context weather@1.1.0 1000 before weather@1.0.0 9000"},
		{"show it to more", func() (*publishing.Outcome, error) {
			return b.Do(t.Context(), op, "shop", rollout(5000))
		},
			"hero context weather@1.1.0 5000 before weather@1.0.0 5000"},
		{"to all", func() (*publishing.Outcome, error) {
			return b.Do(t.Context(), op, "shop", rollout(10000))
		},
			"hero context weather@1.1.0 10000"},
		{"back one", func() (*publishing.Outcome, error) { return b.Do(t.Context(), op, "shop", rollback(0)) },
			"hero context weather@1.1.0 5000 before weather@1.0.0 5000"},
		{"back another, not forth again", func() (*publishing.Outcome, error) { return b.Do(t.Context(), op, "shop", rollback(0)) },
			"hero context weather@1.1.0 1000 before weather@1.0.0 9000"},
		{"take it back", func() (*publishing.Outcome, error) { return b.Do(t.Context(), op, "shop", rollout(0)) },
			"hero context weather@1.0.0 10000"},
		{"back by number", func() (*publishing.Outcome, error) { return b.Do(t.Context(), op, "shop", rollback(6)) },
			"hero context weather@1.1.0 10000"},
		{"remove it", func() (*publishing.Outcome, error) { return b.Do(t.Context(), op, "shop", remove("weather@1.1.0")) }, ""},
	}
	for i, step := range steps {
		out, err := step.do()
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := b.rules(t); got != step.want {
			t.Fatalf("%s: %s, want %s", step.name, got, step.want)
		}
		if want := uint64(i + 2); out.Release != want || out.Was != want-1 {
			t.Errorf("%s: from release %d to %d, want %d", step.name, out.Was, out.Release, want)
		}
	}
	b.checkAudit(t)
}

// checkAudit compares the audit log with the history of shop.
func (b *bench) checkAudit(t *testing.T) {
	t.Helper()
	history, err := b.History(t.Context(), publishing.Operator(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	log, err := b.Audit(t.Context(), publishing.Operator(), "shop", 0)
	if err != nil || log.Broken != "" {
		t.Fatal(err, log)
	}
	var changes []publishing.Entry
	for _, e := range slices.Backward(log.Entries) {
		if e.Release != 0 {
			changes = append(changes, e)
		}
	}
	if len(changes) != len(history) {
		t.Fatalf("%d changes in the audit log, %d releases", len(changes), len(history))
	}
	before := edge.Published{}
	for i, p := range history {
		e := changes[i]
		if e.Release != p.Number || e.After != p.Hash || e.Was != before.Number || e.Before != before.Hash || e.By != "operator" {
			t.Errorf("release %d: entry %+v", p.Number, e)
		}
		before = p
	}
}

func TestNothingToChangeMakesNoRelease(t *testing.T) {
	b := newBench(t)
	b.upload(t, "1.0.0")
	for range 2 {
		out, err := b.Do(t.Context(), publishing.Operator(), "shop", publish(placement("1.0.0")))
		if err != nil || out.Release != 2 {
			t.Fatalf("%+v, %v; want release 2", out, err)
		}
	}
	if out := b.put(t, b.document(t), 0); out.Release != 2 {
		t.Errorf("the live document again: release %d, want 2", out.Release)
	}
}

func TestAChangeIsRefused(t *testing.T) {
	b := newBench(t)
	b.upload(t, "1.0.0")
	b.upload(t, "1.1.0")
	b.put(t, site("other"), 0)
	op := publishing.Operator()
	with := func(change func(*edge.Placement)) publishing.Change {
		p := placement("1.0.0")
		change(&p)
		return publishing.Change{Act: publishing.ActPublish, Placement: &p}
	}
	foreign := b.document(t)
	foreign.Modules = []edge.ModuleRef{{Name: "weather", Version: "1.0.0", Hash: hashOf(module("1.0.0", ""))}}
	foreign.Site = "other"
	foreignText, _ := json.Marshal(foreign)
	tests := []struct {
		name        string
		site        string
		change      publishing.Change
		code, field string
		says        string
	}{
		{"a site that is not there", "none", with(func(*edge.Placement) {}), "not_found", "site", `"none"`},
		{"a module that is not there", "shop", with(func(p *edge.Placement) { p.Module.Name = "wether" }), "not_found", "module", "wether@1.0.0"},
		{"a version that is not there", "shop", with(func(p *edge.Placement) { p.Module.Version = "2.0.0" }), "not_found", "module", "weather@2.0.0"},
		{"no version where there are two", "shop", with(func(p *edge.Placement) { p.Module.Version = "" }), "invalid", "module", "1.0.0"},
		{"another hash", "shop", with(func(p *edge.Placement) { p.Module.Hash = "00" }), "invalid", "module", "hash"},
		{"a slot that is not there", "shop", with(func(p *edge.Placement) { p.Slot = "herro" }), "invalid", "slot", "herro"},
		{"a rung that is none", "shop", with(func(p *edge.Placement) { p.Rung = "attic" }), "invalid", "rung", "attic"},
		{"a share that is none", "shop", with(func(p *edge.Placement) { p.Rollout = 10001 }), "invalid", "rollout", "10001"},
		{"a slot without the variants", "shop", with(func(p *edge.Placement) { p.Slot, p.Role = "offer", "hero" }), "invalid", "", `may answer "sun"`},
		{"a role that the module lacks", "shop", with(func(p *edge.Placement) { p.Role = "villain" }), "invalid", "", "villain"},
		{"no placement", "shop", publishing.Change{Act: publishing.ActPublish}, "invalid", "placement", ""},
		{"no act", "shop", publishing.Change{}, "invalid", "act", ""},
		{"a roll-out of what is not live", "shop", publishing.Change{Act: publishing.ActRollout, Slot: "hero", Module: "weather", Share: 1}, "invalid", "module", "weather"},
		{"a rollback before the first", "shop", publishing.Change{Act: publishing.ActRollback}, "not_found", "to", "before"},
		{"a rollback to what never was", "shop", publishing.Change{Act: publishing.ActRollback, To: 9}, "not_found", "site", "release 9"},
		{"a document that is none", "shop", publishing.Change{Act: publishing.ActRelease, Document: []byte(`{"schema":1,"sight":"shop"}`), Follows: 1}, "invalid", "document", "sight"},
		{"a document of another site", "shop", publishing.Change{Act: publishing.ActRelease, Document: foreignText, Follows: 1}, "invalid", "site", "other"},
		{"a document with a module that another site uploaded", "other", publishing.Change{Act: publishing.ActRelease, Document: foreignText, Follows: 1}, "not_found", "module", "upload it first"},
		{"a document that follows nothing", "shop", publishing.Change{Act: publishing.ActRelease, Document: []byte(`{"schema":1,"site":"shop"}`)}, "conflict", "follows", "release 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := b.Do(t.Context(), op, tt.site, tt.change)
			checkCode(t, "do", err, tt.code, tt.field)
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q does not say %q", err, tt.says)
			}
		})
	}
	if got := b.document(t).Number; got != 1 {
		t.Errorf("release %d is live, want the first", got)
	}
}

// Two changes at once: one that leaves the same slot alone is made anew, one
// that does not is refused.
func TestChangesThatRace(t *testing.T) {
	for _, tt := range []struct {
		name, slot string
		code       string
	}{
		{"of another slot", "offer", ""},
		{"of the same slot", "hero", "conflict"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.upload(t, "1.0.0")
			doc := b.document(t)
			for _, name := range []string{"sun", "rain"} {
				doc.Variants = append(doc.Variants, edge.Variant{Slot: "offer", Name: name, State: "live", Content: map[string]json.RawMessage{"en": json.RawMessage(`{"text":"x"}`)}})
			}
			b.put(t, doc, 1)
			other := placement("1.0.0")
			other.Slot, other.Role, other.Rollout = tt.slot, "hero", 5000
			b.store.beforePut = func() {
				if _, err := b.Do(t.Context(), publishing.Operator(), "shop", publish(other)); err != nil {
					t.Errorf("the change that comes first: %v", err)
				}
			}
			out, err := b.Do(t.Context(), publishing.Operator(), "shop", publish(placement("1.0.0")))
			field := ""
			if tt.code != "" {
				field = "follows"
			}
			checkCode(t, "the change that comes later", err, tt.code, field)
			if err == nil && (out.Release != 4 || out.Was != 3) {
				t.Errorf("from release %d to %d, want 3 to 4", out.Was, out.Release)
			}
			// What did not happen is told.
			log, err := b.Audit(t.Context(), publishing.Operator(), "shop", 0)
			if err != nil {
				t.Fatal(err)
			}
			voids := slices.IndexFunc(log.Entries, func(e publishing.Entry) bool { return e.Act == publishing.ActVoid })
			if voids < 0 || !slices.ContainsFunc(log.Entries[voids:], func(e publishing.Entry) bool { return e.ID == log.Entries[voids].Voids && e.Release == 3 }) {
				t.Errorf("no entry is void in %+v", log.Entries)
			}
		})
	}
}

func TestRolesAreKept(t *testing.T) {
	b := newBench(t)
	b.upload(t, "1.0.0")
	acts := []struct {
		name  string
		least publishing.Role
		do    func(publishing.Actor) error
	}{
		{"status", publishing.Viewer, func(a publishing.Actor) error { _, err := b.Status(t.Context(), a, "shop"); return err }},
		{"history", publishing.Viewer, func(a publishing.Actor) error { _, err := b.History(t.Context(), a, "shop"); return err }},
		{"release", publishing.Viewer, func(a publishing.Actor) error { _, _, err := b.Release(t.Context(), a, "shop", 0); return err }},
		{"uploads", publishing.Viewer, func(a publishing.Actor) error { _, err := b.Uploads(t.Context(), a, "shop"); return err }},
		{"proposals", publishing.Viewer, func(a publishing.Actor) error { _, err := b.Proposals(t.Context(), a, "shop"); return err }},
		{"counts", publishing.Viewer, func(a publishing.Actor) error { _, err := b.Counts(t.Context(), a, "shop", 7); return err }},
		{"audit", publishing.Viewer, func(a publishing.Actor) error { _, err := b.Audit(t.Context(), a, "shop", 7); return err }},
		{"upload", publishing.Editor, func(a publishing.Actor) error {
			_, err := b.Upload(t.Context(), a, "shop", module("1.0.0", ""), "")
			return err
		}},
		{"reject", publishing.Approver, func(a publishing.Actor) error { _, err := b.Reject(t.Context(), a, "shop", "x", "no"); return err }},
		{"approve", publishing.Approver, func(a publishing.Actor) error { _, err := b.Approve(t.Context(), a, "shop", "x"); return err }},
		{"publish", publishing.Publisher, func(a publishing.Actor) error {
			_, err := b.Do(t.Context(), a, "shop", publish(placement("1.0.0")))
			return err
		}},
		{"put", publishing.Publisher, func(a publishing.Actor) error { _, err := b.Put(t.Context(), a, "shop", []byte("{}"), 0); return err }},
		{"token", publishing.Admin, func(a publishing.Actor) error {
			_, _, err := b.CreateToken(t.Context(), a, actor("x", publishing.Viewer), b.now.AddDate(0, 0, 1))
			return err
		}},
	}
	forbidden := func(err error) bool {
		known, ok := err.(*publishing.Error)
		return ok && known.Code == publishing.CodeForbidden
	}
	for _, act := range acts {
		for role := publishing.Role(0); role <= publishing.Admin; role++ {
			if err := act.do(actor("a", role)); forbidden(err) != (role < act.least) {
				t.Errorf("%s as %q: %v, want it from %s on", act.name, role, err, act.least)
			}
		}
		stranger := publishing.Actor{Name: "a", Role: publishing.Admin, Sites: []string{"other"}}
		if err := act.do(stranger); !forbidden(err) {
			t.Errorf("%s as another site's admin: %v, want it forbidden", act.name, err)
		}
	}
}

// Whoever asks for a shadow and forgets to say so in the placement too must not
// show the module to everybody.
func TestTheActSaysWhetherAnybodySeesAModule(t *testing.T) {
	b := newBench(t)
	b.upload(t, "1.0.0")
	for act, shadow := range map[string]bool{publishing.ActShadow: true, publishing.ActPublish: false} {
		p := placement("1.0.0")
		p.Shadow, p.Rollout = !shadow, 500
		if _, err := b.Do(t.Context(), actor("ada", publishing.Publisher), "shop", publishing.Change{Act: act, Placement: &p}); err != nil {
			t.Fatal(err)
		}
		rules := b.document(t).Slots[0].Ladder[0].Rules
		if last := rules[len(rules)-1]; last.Shadow != shadow || shadow && last.Rollout != 0 {
			t.Errorf("%s: %+v", act, last)
		}
	}
}

// However long the chain of rollbacks, the next one goes back from the release
// that had the live content first, and need not search the audit log for it.
func TestARollbackKnowsWhereItIs(t *testing.T) {
	b := newBench(t)
	b.upload(t, "1.0.0")
	b.upload(t, "2.0.0")
	op := publishing.Operator()
	for i, step := range []struct {
		change publishing.Change
		rules  string
	}{
		{publish(placement("1.0.0")), "hero context weather@1.0.0 10000"}, // release 2
		{publish(placement("2.0.0")), "hero context weather@2.0.0 10000"},
		{rollback(2), "hero context weather@1.0.0 10000"}, // 4, of 2
		{rollback(3), "hero context weather@2.0.0 10000"}, // 5, of 3
		{rollback(4), "hero context weather@1.0.0 10000"}, // 6, of 2 by way of 4
		{rollback(5), "hero context weather@2.0.0 10000"}, // 7, of 3 by way of 5
		{rollback(0), "hero context weather@1.0.0 10000"}, // 8, of 2
		{rollback(0), ""}, // 9, of 1
	} {
		if _, err := b.Do(t.Context(), op, "shop", step.change); err != nil || b.rules(t) != step.rules {
			t.Fatalf("step %d: %v; rules %s, want %s", i, err, b.rules(t), step.rules)
		}
	}
	_, err := b.Do(t.Context(), op, "shop", rollback(0))
	checkCode(t, "before the first", err, "not_found", "to")
	if got := b.store.auditReads.Load(); got != 0 {
		t.Errorf("the audit log was read %d times", got)
	}
	history, err := b.History(t.Context(), op, "shop")
	if err != nil || len(history) != 9 || history[6].Restores != 3 || history[8].Restores != 1 || history[2].Restores != 0 {
		t.Errorf("history %+v, %v", history, err)
	}
}

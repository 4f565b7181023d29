// SPDX-License-Identifier: Apache-2.0

package publishing_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

// careful lets shop want a second person.
func (b *bench) careful(t testing.TB) {
	t.Helper()
	doc := b.document(t)
	doc.Settings.SecondPerson = true
	b.put(t, doc, doc.Number)
}

var (
	ada = actor("ada", publishing.Publisher)
	bob = actor("bob", publishing.Approver)
)

func TestASecondPersonApproves(t *testing.T) {
	b := newBench(t)
	b.upload(t, "1.0.0")
	b.careful(t)
	out, err := b.Do(t.Context(), ada, "shop", publish(placement("1.0.0")))
	if err != nil || out.Proposal == nil || out.Proposal.State != publishing.StateWaiting || out.Release != 2 || b.rules(t) != "" {
		t.Fatalf("%+v, %v; want a proposal and nothing changed", out, err)
	}
	id := out.Proposal.ID
	_, err = b.Approve(t.Context(), ada, "shop", id)
	checkCode(t, "ada approves her own", err, "same_person", "")
	_, err = b.Approve(t.Context(), actor("ada", publishing.Admin), "shop", id)
	checkCode(t, "and with another token", err, "same_person", "")
	out, err = b.Approve(t.Context(), bob, "shop", id)
	if err != nil || out.Release != 3 || b.rules(t) != "hero context weather@1.0.0 10000" {
		t.Fatalf("bob approves: %+v, %v; rules %s", out, err, b.rules(t))
	}
	_, err = b.Approve(t.Context(), bob, "shop", id)
	checkCode(t, "and again", err, "decided", "id")
	_, err = b.Reject(t.Context(), bob, "shop", id, "no")
	checkCode(t, "and rejects", err, "decided", "id")
	all, err := b.Proposals(t.Context(), ada, "shop")
	if err != nil || len(all) != 1 || all[0].Decider != "bob" || all[0].Release != 3 || all[0].By != "ada" {
		t.Errorf("%+v, %v", all, err)
	}
	var acts []string
	log, err := b.Audit(t.Context(), ada, "shop", 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range log.Entries {
		if e.Proposal != id {
			t.Errorf("entry %+v is of another proposal", e)
		}
		acts = append(acts, e.By+" "+e.Act)
	}
	if got := strings.Join(acts, ", "); got != "bob publish, bob approve, ada propose" {
		t.Errorf("audit log: %s", got)
	}
}

func TestEveryChangeNeedsTheSecondPerson(t *testing.T) {
	b := newBench(t)
	b.upload(t, "1.0.0")
	if _, err := b.Do(t.Context(), ada, "shop", publish(placement("1.0.0"))); err != nil {
		t.Fatal(err)
	}
	b.careful(t)
	doc := b.document(t)
	doc.Settings.SecondPerson = false
	changes := map[string]func() (*publishing.Outcome, error){
		"publish": func() (*publishing.Outcome, error) {
			p := placement("1.0.0")
			p.Priority = 3
			return b.Do(t.Context(), ada, "shop", publish(p))
		},
		"shadow": func() (*publishing.Outcome, error) { return b.Do(t.Context(), ada, "shop", shadow(placement("1.0.0"))) },
		"rollout": func() (*publishing.Outcome, error) {
			return b.Do(t.Context(), ada, "shop", rollout(100))
		},
		"remove":   func() (*publishing.Outcome, error) { return b.Do(t.Context(), ada, "shop", remove("weather")) },
		"rollback": func() (*publishing.Outcome, error) { return b.Do(t.Context(), ada, "shop", rollback(1)) },
		"a release that wants no second person": func() (*publishing.Outcome, error) {
			return &publishing.Outcome{Proposal: b.put(t, doc, doc.Number).Proposal}, nil
		},
	}
	for name, change := range changes {
		out, err := change()
		if err != nil || out.Proposal == nil {
			t.Errorf("%s: %+v, %v; want a proposal", name, out, err)
		}
	}
	if got := b.document(t).Number; got != 3 {
		t.Errorf("release %d is live, want 3", got)
	}
	status, err := b.Status(t.Context(), ada, "shop")
	if err != nil || status.Waiting != len(changes) || !status.SecondPerson {
		t.Errorf("%d proposals wait, want %d; %v", status.Waiting, len(changes), err)
	}
}

// Whoever wants a second person from the release before on is not passed by a
// change that was on its way.
func TestAChangeOnItsWayWaitsForTheSecondPersonToo(t *testing.T) {
	b := newBench(t)
	b.upload(t, "1.0.0")
	b.store.beforePut = func() { b.careful(t) }
	out, err := b.Do(t.Context(), ada, "shop", publish(placement("1.0.0")))
	if err != nil || out.Proposal == nil || out.Release != 2 || b.rules(t) != "" {
		t.Fatalf("%+v, %v; rules %s; want a proposal and nothing changed", out, err, b.rules(t))
	}
	if out, err = b.Do(t.Context(), ada, "shop", publish(placement("1.0.0"))); err != nil || out.Proposal == nil {
		t.Errorf("the same again: %+v, %v", out, err)
	}
	if _, err := b.Approve(t.Context(), bob, "shop", out.Proposal.ID); err != nil || b.rules(t) == "" {
		t.Errorf("approve: %v; rules %s", err, b.rules(t))
	}
}

// Who hands out a token is not a second person beside its holder, on either side
// and however many tokens lie between. Who runs the node hands out the first.
func TestWhoMadeATokenIsNoSecondPerson(t *testing.T) {
	b := newBench(t)
	b.upload(t, "1.0.0")
	b.careful(t)
	token := func(by publishing.Actor, name string, role publishing.Role) publishing.Actor {
		t.Helper()
		secret, _, err := b.CreateToken(t.Context(), by, actor(name, role), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		byID, err := b.Authenticate(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		again, err := b.TokenByID(t.Context(), byID.ID)
		if err != nil {
			t.Fatal(err)
		}
		return again.Actor
	}
	alice := token(publishing.Operator(), "alice", publishing.Admin)
	puppet := token(alice, "carl", publishing.Admin)
	second := token(puppet, "dora", publishing.Approver)
	other := token(publishing.Operator(), "bob", publishing.Approver)
	tests := []struct {
		name              string
		proposes, decides publishing.Actor
		code              string
	}{
		{"the token that the proposer made", alice, puppet, "same_person"},
		{"one that this made", alice, second, "same_person"},
		{"who made the proposer's", puppet, alice, "same_person"},
		{"somebody else", alice, other, ""},
		{"who runs the node", publishing.Operator(), alice, ""},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := placement("1.0.0")
			p.Priority = i + 1
			out, err := b.Do(t.Context(), tt.proposes, "shop", publish(p))
			if err != nil {
				t.Fatal(err)
			}
			_, err = b.Approve(t.Context(), tt.decides, "shop", out.Proposal.ID)
			checkCode(t, "approve", err, tt.code, "")
		})
	}
	// The site's people see who made whose token.
	log, err := b.Audit(t.Context(), actor("eve", publishing.Viewer), "shop", 0)
	if err != nil {
		t.Fatal(err)
	}
	var made []string
	for _, e := range log.Entries {
		if e.Act == publishing.ActToken {
			made = append(made, e.By+": "+e.Detail)
		}
	}
	if got := strings.Join(made, "; "); got != "operator: bob, approver; carl: dora, approver; alice: carl, admin; operator: alice, admin" {
		t.Errorf("audit log: %s", got)
	}
}

// A whole release waits beside the notes, which are small, and may be larger than
// a module.
func TestAReleaseWaitsForTheSecondPerson(t *testing.T) {
	b := newBench(t)
	b.careful(t)
	doc := b.document(t)
	doc.Variants[0].Tags = []string{strings.Repeat("x", edge.MaxModuleBytes)}
	out := b.put(t, doc, doc.Number)
	if out.Proposal == nil {
		t.Fatal("no proposal")
	}
	if _, err := b.Approve(t.Context(), bob, "shop", out.Proposal.ID); err != nil {
		t.Fatal(err)
	}
	if got := b.document(t); got.Number != 3 || len(got.Variants[0].Tags) != 1 {
		t.Errorf("release %d is live", got.Number)
	}
}

// What was proposed is applied to what is live by then, unless its own slot was
// changed; then it waits again.
func TestAProposalFromBefore(t *testing.T) {
	for _, tt := range []struct{ name, slot, code string }{
		{"the change between is of another slot", "offer", ""},
		{"the change between is of the same slot", "hero", "conflict"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.upload(t, "1.0.0")
			b.careful(t)
			first, err := b.Do(t.Context(), ada, "shop", publish(placement("1.0.0")))
			if err != nil {
				t.Fatal(err)
			}
			doc := b.document(t)
			for i := range doc.Slots {
				if doc.Slots[i].Name == tt.slot {
					doc.Slots[i].Ladder = append(doc.Slots[i].Ladder, edge.RungSpec{Rung: "profile"})
				}
			}
			between := b.put(t, doc, doc.Number)
			if _, err := b.Approve(t.Context(), bob, "shop", between.Proposal.ID); err != nil {
				t.Fatal(err)
			}
			_, err = b.Approve(t.Context(), bob, "shop", first.Proposal.ID)
			field := ""
			if tt.code != "" {
				field = "follows"
			}
			checkCode(t, "approve", err, tt.code, field)
			want := publishing.StateApproved
			if tt.code != "" {
				want = publishing.StateWaiting
			}
			all, err := b.Proposals(t.Context(), ada, "shop")
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range all {
				if p.ID == first.Proposal.ID && p.State != want {
					t.Errorf("the proposal is %s, want %s", p.State, want)
				}
			}
		})
	}
}

func TestAProposalIsRejectedWithAReason(t *testing.T) {
	b := newBench(t)
	b.upload(t, "1.0.0")
	b.careful(t)
	out, err := b.Do(t.Context(), ada, "shop", publish(placement("1.0.0")))
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Reject(t.Context(), bob, "shop", out.Proposal.ID, "")
	checkCode(t, "without a reason", err, "invalid", "reason")
	p, err := b.Reject(t.Context(), bob, "shop", out.Proposal.ID, "not before Monday")
	if err != nil || p.State != publishing.StateRejected || p.Reason != "not before Monday" {
		t.Errorf("%+v, %v", p, err)
	}
	_, err = b.Approve(t.Context(), bob, "shop", out.Proposal.ID)
	checkCode(t, "approve it all the same", err, "decided", "id")
	for _, id := range []string{"", "x", strings.Repeat("a", 16), "../shop"} {
		_, err = b.Approve(t.Context(), bob, "shop", id)
		checkCode(t, "a proposal that is not there", err, "not_found", "id")
	}
}

// A process that ends in the midst of an approval leaves a proposal that can be
// approved again after a while.
func TestAnApprovalThatCameToNothing(t *testing.T) {
	b := newBench(t)
	b.upload(t, "1.0.0")
	b.careful(t)
	out, err := b.Do(t.Context(), ada, "shop", publish(placement("1.0.0")))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.store.beforePut = runtime.Goexit
		_, _ = b.Approve(t.Context(), bob, "shop", out.Proposal.ID)
		t.Error("the approval went through")
	}()
	<-ended
	_, err = b.Approve(t.Context(), bob, "shop", out.Proposal.ID)
	checkCode(t, "at once", err, "decided", "id")
	b.now = b.now.Add(2 * time.Minute)
	if _, err := b.Approve(t.Context(), bob, "shop", out.Proposal.ID); err != nil {
		t.Errorf("after a while: %v", err)
	}
	if b.rules(t) != "hero context weather@1.0.0 10000" {
		t.Errorf("rules %s", b.rules(t))
	}
}

// Two people at once: the change is made once.
func TestTwoApproveAtOnce(t *testing.T) {
	b := newBench(t)
	b.upload(t, "1.0.0")
	b.careful(t)
	out, err := b.Do(t.Context(), ada, "shop", publish(placement("1.0.0")))
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, 2)
	for _, name := range []string{"bob", "eve"} {
		go func() {
			_, err := b.Approve(t.Context(), actor(name, publishing.Approver), "shop", out.Proposal.ID)
			errs <- err
		}()
	}
	first, second := <-errs, <-errs
	if (first == nil) == (second == nil) {
		t.Errorf("%v and %v, want one to be refused", first, second)
	}
	if got := b.document(t).Number; got != 3 {
		t.Errorf("release %d is live, want 3", got)
	}
}

// SPDX-License-Identifier: Apache-2.0

package publishing_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/stream"
)

// What fills the ledger, whatever that is, stops no release and leaves no token
// in force.
func TestAFullLedgerStopsNoRelease(t *testing.T) {
	b := newBenchOf(t, stream.Options{MaxLedgerBytes: 200_000}, publishing.Quota{})
	op := publishing.Operator()
	b.upload(t, "1.0.0")
	secret, token, err := b.CreateToken(t.Context(), op, actor("mallory", publishing.Editor), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for i, size := 0, 60_000; size > 0; i++ {
		_, err := b.store.PutNote(t.Context(), fmt.Sprintf("filler.%d", i), []byte(`"`+strings.Repeat("x", size)+`"`), 0)
		if err != nil {
			size /= 2
		}
	}
	_, err = b.Upload(t.Context(), op, "shop", module("2.0.0", ""), "")
	checkCode(t, "an upload", err, "unavailable", "")

	for _, c := range []publishing.Change{publish(placement("1.0.0")), rollback(0), rollback(2), remove("weather")} {
		if _, err := b.Do(t.Context(), op, "shop", c); err != nil {
			t.Errorf("%s to %d: %v", c.Act, c.To, err)
		}
	}
	checkCode(t, "revoke", b.RevokeToken(t.Context(), op, token.ID), "", "")
	_, err = b.Authenticate(t.Context(), secret)
	checkCode(t, "the revoked token", err, "unauthenticated", "")
	if _, _, err := b.CreateToken(t.Context(), op, actor("ada", publishing.Publisher), time.Time{}); err != nil {
		t.Errorf("a token: %v", err)
	}
	if log, err := b.Audit(t.Context(), op, "", 0); err != nil || log.Broken != "" {
		t.Errorf("audit log: %+v, %v", log, err)
	}
}

func TestUploadsHaveABound(t *testing.T) {
	one := int64(len(module("1.0.0", "")))
	for name, quota := range map[string]publishing.Quota{
		"by their number": {Uploads: 2},
		"by their bytes":  {UploadBytes: 3*one - 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBenchOf(t, stream.Options{}, quota)
			b.put(t, site("other"), 0)
			b.upload(t, "1.0.0")
			b.upload(t, "2.0.0")
			wasm := module("3.0.0", "")
			_, err := b.Upload(t.Context(), publishing.Operator(), "shop", wasm, "")
			checkCode(t, "one more", err, "quota", "module")
			if _, err := b.store.Module(t.Context(), hashOf(wasm)); err == nil {
				t.Error("a module that was refused is stored")
			}
			b.upload(t, "2.0.0") // the same bytes again
			if u, err := b.Upload(t.Context(), publishing.Operator(), "shop", module("2.0.0", ""), "by shop"); err != nil || u.Signature == "" {
				t.Errorf("the signature of what is there: %v", err)
			}
			if _, err := b.Upload(t.Context(), publishing.Operator(), "other", wasm, ""); err != nil {
				t.Errorf("at another site: %v", err)
			}
			taken := module("1.0.0", "other bytes")
			_, err = b.Upload(t.Context(), publishing.Operator(), "shop", taken, "")
			checkCode(t, "a version that is taken", err, "taken", "version")
			if _, err := b.store.Module(t.Context(), hashOf(taken)); err == nil {
				t.Error("a module whose version is taken is stored")
			}
		})
	}
}

func TestProposalsHaveABound(t *testing.T) {
	b := newBenchOf(t, stream.Options{}, publishing.Quota{Waiting: 2})
	b.upload(t, "1.0.0")
	b.careful(t)
	propose := func() (id string, err error) {
		t.Helper()
		b.now = b.now.Add(time.Second)
		out, err := b.Do(t.Context(), ada, "shop", publish(placement("1.0.0")))
		if err != nil {
			return "", err
		}
		return out.Proposal.ID, nil
	}
	var ids []string
	for range 8 {
		id, err := propose()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Reject(t.Context(), bob, "shop", id, "no"); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	waits, err := propose()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := propose(); err != nil {
		t.Fatal(err)
	}
	_, err = propose()
	checkCode(t, "a third that waits", err, "quota", "")
	all, err := b.Proposals(t.Context(), ada, "shop")
	if err != nil || len(all) != 6 || all[2].ID != ids[7] || all[5].ID != ids[4] {
		t.Errorf("%d proposals, %v; want two that wait and the newest four that do not", len(all), err)
	}
	if _, err := b.Approve(t.Context(), bob, "shop", waits); err != nil {
		t.Errorf("approve: %v", err)
	}
}

func TestAPreviewTooManyEndsTheOldest(t *testing.T) {
	b := newBenchOf(t, stream.Options{}, publishing.Quota{Previews: 2})
	b.upload(t, "1.0.0")
	var ids []string
	for i := range 3 {
		// The oldest is the one that would be good for longest.
		p, err := b.Preview(t.Context(), actor("eve", publishing.Editor), "shop", placement("1.0.0"), "", time.Duration(3-i)*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		id, err := b.sealer.OpenPreview("shop", p.Token, b.now)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for i, code := range []string{"not_found", "", ""} {
		_, err := b.PreviewDocument(t.Context(), "shop", ids[i])
		checkCode(t, fmt.Sprintf("preview %d", i), err, code, "")
	}
}

func TestTokensHaveABound(t *testing.T) {
	b := newBenchOf(t, stream.Options{}, publishing.Quota{Tokens: 2})
	create := func(name string, expires time.Time, sites ...string) error {
		_, _, err := b.CreateToken(t.Context(), publishing.Operator(), publishing.Actor{Name: name, Role: publishing.Viewer, Sites: sites}, expires)
		return err
	}
	soon := b.now.Add(time.Hour)
	if err := errors.Join(create("a", time.Time{}, "shop", "other"), create("b", soon, "shop")); err != nil {
		t.Fatal(err)
	}
	checkCode(t, "a third of shop's", create("c", time.Time{}, "new", "shop"), "quota", "sites")
	checkCode(t, "one of every site", create("c", time.Time{}, "*"), "", "")
	checkCode(t, "a second of another site's", create("c", time.Time{}, "other"), "", "")
	b.now = soon
	checkCode(t, "one in the place of what has expired", create("d", time.Time{}, "shop"), "", "")
	tokens, err := b.Tokens(t.Context(), actor("ada", publishing.Admin))
	if err != nil || len(tokens) != 1 || tokens[0].Actor.Name != "d" {
		t.Errorf("shop's own tokens are %+v, %v", tokens, err)
	}
}

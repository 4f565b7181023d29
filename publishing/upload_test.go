// SPDX-License-Identifier: Apache-2.0

package publishing_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

func TestAVersionNeverChanges(t *testing.T) {
	b := newBench(t)
	editor := actor("eve", publishing.Editor)
	upload := func(wasm []byte, signature string) (*publishing.Upload, error) {
		return b.Upload(t.Context(), editor, "shop", wasm, signature)
	}
	first, err := upload(module("1.0.0", "a"), "")
	if err != nil || first.Hash != hashOf(module("1.0.0", "a")) || first.By != "eve" || first.Report == nil || first.Bytes != len(module("1.0.0", "a")) {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := upload(module("1.0.0", "a"), "")
	if err != nil || !again.At.Equal(first.At) {
		t.Errorf("the same again: %+v, %v", again, err)
	}
	_, err = upload(module("1.0.0", "b"), "")
	checkCode(t, "other bytes", err, "taken", "version")
	signed, err := upload(module("1.0.0", "a"), "by shop")
	if err != nil || signed.Signature != "by shop" {
		t.Errorf("with its signature: %+v, %v", signed, err)
	}
	if kept, err := upload(module("1.0.0", "a"), ""); err != nil || kept.Signature != "by shop" {
		t.Errorf("without it again: %+v, %v; want it kept", kept, err)
	}
	b.put(t, site("other"), 0)
	if _, err := b.Upload(t.Context(), publishing.Operator(), "other", module("1.0.0", "b"), ""); err != nil {
		t.Errorf("other bytes at another site: %v", err)
	}
	all, err := b.Uploads(t.Context(), editor, "shop")
	if err != nil || len(all) != 1 {
		t.Errorf("%d uploads, %v; want 1", len(all), err)
	}
	wasm, err := b.store.Module(t.Context(), first.Hash)
	if err != nil || !bytes.Equal(wasm, module("1.0.0", "a")) {
		t.Errorf("stored %q, %v", wasm, err)
	}
	log, err := b.Audit(t.Context(), editor, "shop", 0)
	if err != nil {
		t.Fatal(err)
	}
	var uploads []string
	for _, e := range log.Entries {
		if e.Act == publishing.ActUpload {
			uploads = append(uploads, e.Module+" "+e.By+" "+e.Detail)
		}
	}
	if got := strings.Join(uploads, "; "); got != "weather@1.0.0 eve signed; weather@1.0.0 eve " {
		t.Errorf("audit log: %s", got)
	}
}

func TestAnUploadIsRefused(t *testing.T) {
	b := newBench(t)
	tests := []struct {
		name, site, signature string
		wasm                  []byte
		code, field           string
	}{
		{"by its check, with the check's code", "shop", "", []byte("MZ"), "malformed", "module"},
		{"by its signature", "shop", "by other", module("1.0.0", ""), "invalid", "signature"},
		{"with a signature that is too long", "shop", strings.Repeat("x", edge.MaxSignatureBytes+1), module("1.0.0", ""), "too_large", "signature"},
		{"for a site that is not there", "none", "", module("1.0.0", ""), "not_found", "site"},
		{"for what is no site", "a.b", "", module("1.0.0", ""), "not_found", "site"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := b.Upload(t.Context(), publishing.Operator(), tt.site, tt.wasm, tt.signature)
			checkCode(t, "upload", err, tt.code, tt.field)
		})
	}
	if all, err := b.Uploads(t.Context(), publishing.Operator(), "shop"); err != nil || len(all) != 0 {
		t.Errorf("%d uploads, %v; want none", len(all), err)
	}
}

// What comes with the node needs no upload, and its versions are taken.
func TestABuiltinModuleIsThereAlready(t *testing.T) {
	b := newBench(t)
	wasm := module("1.0.0", "built in")
	hash, err := b.store.PutModule(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	b.builtin = []edge.ModuleRef{{Name: "weather", Version: "1.0.0", Hash: hash}}
	if _, err := b.Do(t.Context(), publishing.Operator(), "shop", publish(placement("1.0.0"))); err != nil {
		t.Errorf("publish: %v", err)
	}
	_, err = b.Upload(t.Context(), publishing.Operator(), "shop", module("1.0.0", "mine"), "")
	checkCode(t, "upload under its name", err, "taken", "version")
	all, err := b.Uploads(t.Context(), publishing.Operator(), "shop")
	if err != nil || len(all) != 1 || all[0].By != "" || all[0].Hash != hash {
		t.Errorf("%+v, %v", all, err)
	}
	before := b.checks.Load()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := b.Describe(t.Context(), actor("ada", publishing.Viewer), "shop", "weather", "1.0.0"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := b.checks.Load() - before; got != 1 {
		t.Errorf("it was checked %d times, want once", got)
	}
	u, err := b.Describe(t.Context(), actor("ada", publishing.Viewer), "shop", "weather", "1.0.0")
	if err != nil || u.Report == nil || !u.Report.OK || u.Report.Manifest.Description != "built in" || u.Bytes != len(wasm) {
		t.Errorf("described as %+v, %v", u, err)
	}
	_, err = b.Describe(t.Context(), actor("ada", publishing.Viewer), "shop", "no.such*thing", "1")
	checkCode(t, "describe what is not there", err, "not_found", "module")
	_, err = b.Describe(t.Context(), actor("ada", publishing.Viewer), "other", "weather", "1.0.0")
	checkCode(t, "describe elsewhere", err, "forbidden", "site")
}

// A long report leaves out what can be had again.
func TestAnUploadWithALongReport(t *testing.T) {
	b := newBench(t)
	b.canaries = 300
	if _, err := b.Upload(t.Context(), publishing.Operator(), "shop", module("1.0.0", ""), ""); err != nil {
		t.Fatal(err)
	}
	all, err := b.Uploads(t.Context(), publishing.Operator(), "shop")
	if err != nil || len(all) != 1 || all[0].Report == nil || len(all[0].Report.Canaries) != 0 || all[0].Report.Manifest == nil {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestWhoSeesWhichEntries(t *testing.T) {
	b := newBench(t)
	b.put(t, site("other"), 0)
	if _, _, err := b.CreateToken(t.Context(), publishing.Operator(), publishing.Actor{Name: "x", Role: publishing.Viewer, Sites: []string{"*"}}, b.now.AddDate(0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		by   publishing.Actor
		site string
		want int
	}{
		{"the operator sees all", publishing.Operator(), "", 3},
		{"or one site's", publishing.Operator(), "shop", 1},
		{"who has one site sees that", actor("a", publishing.Admin), "", 1},
		{"tokens of every site are for their admins", publishing.Actor{Name: "a", Role: publishing.Publisher, Sites: []string{"*"}}, "", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log, err := b.Audit(t.Context(), tt.by, tt.site, 0)
			if err != nil || len(log.Entries) != tt.want {
				t.Errorf("%d entries, %v; want %d", len(log.Entries), err, tt.want)
			}
		})
	}
	b.upload(t, "1.0.0")
	log, err := b.Audit(t.Context(), publishing.Operator(), "", 2)
	if err != nil || len(log.Entries) != 2 || log.Entries[0].Act != publishing.ActUpload || log.Entries[1].Act != publishing.ActToken {
		t.Errorf("the newest two: %+v, %v", log.Entries, err)
	}
}

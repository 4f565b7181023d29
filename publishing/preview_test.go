// SPDX-License-Identifier: Apache-2.0

package publishing_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

func TestAPreviewShowsWhatIsNotLive(t *testing.T) {
	b := newBench(t)
	b.upload(t, "1.0.0")
	editor := actor("eve", publishing.Editor)
	preview, err := b.Preview(t.Context(), editor, "shop", placement("1.0.0"), "https://shop.example/hats?size=7", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	link, err := url.Parse(preview.Link)
	if err != nil || link.Host != "shop.example" || link.Path != "/hats" || link.Query().Get("size") != "7" || link.Query().Get("near_preview") != preview.Token {
		t.Errorf("link %s, %v", preview.Link, err)
	}
	id, err := b.sealer.OpenPreview("shop", preview.Token, b.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.sealer.OpenPreview("shop", preview.Token, b.now.Add(time.Hour)); err == nil {
		t.Error("the link is good after its time")
	}
	document, err := b.PreviewDocument(t.Context(), "shop", id)
	if err != nil {
		t.Fatal(err)
	}
	release, err := edge.CompileRelease(document, loader{store: b.store})
	if err != nil || !strings.Contains(string(release.Document()), "weather@1.0.0") {
		t.Errorf("the preview's release: %v", err)
	}
	if b.rules(t) != "" {
		t.Error("the preview is live")
	}
	_, err = b.PreviewDocument(t.Context(), "other", id)
	checkCode(t, "the preview of another site", err, "not_found", "")

	// Its note goes when its time is over and somebody makes another.
	b.now = b.now.Add(2 * time.Hour)
	if _, err := b.Preview(t.Context(), editor, "shop", placement("1.0.0"), "", time.Hour); err != nil {
		t.Fatal(err)
	}
	_, err = b.PreviewDocument(t.Context(), "shop", id)
	checkCode(t, "the preview that is over", err, "not_found", "")
}

func TestAPreviewIsRefused(t *testing.T) {
	b := newBench(t)
	b.upload(t, "1.0.0")
	wrong := placement("1.0.0")
	wrong.Slot = "attic"
	tests := []struct {
		name        string
		by          publishing.Actor
		placement   edge.Placement
		page        string
		valid       time.Duration
		code, field string
	}{
		{"to a viewer", actor("a", publishing.Viewer), placement("1.0.0"), "", time.Hour, "forbidden", ""},
		{"of what could not be published", actor("a", publishing.Editor), wrong, "", time.Hour, "invalid", "slot"},
		{"of a module that is not there", actor("a", publishing.Editor), placement("9.0.0"), "", time.Hour, "not_found", "module"},
		{"on a page of somebody else", actor("a", publishing.Editor), placement("1.0.0"), "https://shop.example.evil/", time.Hour, "invalid", "page"},
		{"on no page", actor("a", publishing.Editor), placement("1.0.0"), "javascript:alert(1)", time.Hour, "invalid", "page"},
		{"for ever", actor("a", publishing.Editor), placement("1.0.0"), "", 31 * 24 * time.Hour, "invalid", "valid"},
		{"for no time", actor("a", publishing.Editor), placement("1.0.0"), "", 0, "invalid", "valid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := b.Preview(t.Context(), tt.by, "shop", tt.placement, tt.page, tt.valid)
			checkCode(t, "preview", err, tt.code, tt.field)
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A Previewer knows the releases that somebody may look at before they are
// live.
type Previewer interface {
	// Preview returns the release document of a site's preview, as it would be
	// if the preview's change were published to what is live. It is called by
	// many goroutines at once.
	Preview(site, id string) (document []byte, err error)
}

// PreviewParameter carries a preview's token in the address of a page.
const PreviewParameter = "near_preview"

// MaxPreviewIDBytes bounds a preview's id.
const MaxPreviewIDBytes = 32

// maxPreviews bounds the previews that an engine keeps compiled.
const maxPreviews = 16

// SealPreview returns the token of a site's preview, which opens it to whoever
// has it, on this site and until a time.
func (s *Sealer) SealPreview(site, id string, until time.Time) (string, error) {
	if id == "" || len(id) > MaxPreviewIDBytes {
		return "", fmt.Errorf("preview: id of %d bytes, want 1 to %d", len(id), MaxPreviewIDBytes)
	}
	plain := binary.LittleEndian.AppendUint64(nil, uint64(until.Unix()))
	return s.seal(sealedPreview, site, append(plain, id...)), nil
}

// errPreviewOver reports a preview whose time is over.
var errPreviewOver = errors.New("the preview's time is over")

// OpenPreview returns the id that a token was sealed for at this site.
func (s *Sealer) OpenPreview(site, token string, now time.Time) (id string, err error) {
	var space [128]byte
	plain, err := s.open(space[:0], sealedPreview, site, token)
	if err != nil {
		return "", err
	}
	if len(plain) <= 8 || len(plain) > 8+MaxPreviewIDBytes {
		return "", errSealed
	}
	if now.Unix() >= int64(binary.LittleEndian.Uint64(plain)) {
		return "", errPreviewOver
	}
	return string(plain[8:]), nil
}

// previews are the compiled previews of an engine. The lock is held while one
// is compiled, so that many requests of one page compile it once; requests
// without a preview never take it.
type previews struct {
	mu       sync.Mutex
	compiled map[string]compiledPreview
}

// A compiledPreview is a preview over the release that was live. Without a
// release it could not be made, and is not tried again before a time.
type compiledPreview struct {
	live    *Release
	release *Release
	again   time.Time
}

// previewAgain is the pause before a preview that could not be made is tried
// again: whoever has its link could else have it compiled as often as they ask.
const previewAgain = time.Minute

// preview returns the release that a token opens. Whatever is wrong with it
// gives nil: the page is as it is for everybody.
func (e *Engine) preview(site, token string, live *Release, now time.Time) *Release {
	if e.previewer == nil {
		return nil
	}
	id, err := e.sealer.OpenPreview(site, token, now)
	if err != nil {
		return nil
	}
	key := site + "/" + id
	e.previews.mu.Lock()
	defer e.previews.mu.Unlock()
	if p, ok := e.previews.compiled[key]; ok && p.live == live && (p.release != nil || now.Before(p.again)) {
		return p.release
	}
	release := e.compilePreview(site, id)
	if len(e.previews.compiled) >= maxPreviews {
		clear(e.previews.compiled)
	}
	if e.previews.compiled == nil {
		e.previews.compiled = map[string]compiledPreview{}
	}
	e.previews.compiled[key] = compiledPreview{live, release, now.Add(previewAgain)}
	return release
}

// compilePreview makes a preview's release, nil when it cannot be made.
func (e *Engine) compilePreview(site, id string) *Release {
	document, err := e.previewer.Preview(site, id)
	if err != nil {
		return nil
	}
	release, err := CompileRelease(document, e.loader)
	if err != nil || release.Site() != site {
		return nil
	}
	return release
}

// previewed makes it a decision of a preview: it says so and carries no id, so that
// nobody can count it.
func (d *Decision) previewed() {
	if d.Reason == ReasonRule {
		d.Reason, d.cause = ReasonPreview, ""
	}
}

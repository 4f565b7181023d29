// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nearside/nearside/demo"
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/sitefile"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// demoNote is where the demo remembers the site that it published last: one that
// differs is somebody's who played with the demo.
const demoNote = "demo.site"

// publishDemo publishes the demo site's own release for pages at origins. A site
// that somebody changed, by the console or by files, stays as they made it: then
// only the origins follow.
func (n *node) publishDemo(ctx context.Context, origins []string) error {
	own, err := demoDocument(origins, n.modules)
	if err != nil {
		return err
	}
	ownMark, err := markOf(own)
	if err != nil {
		return err
	}
	published, live, err := n.events.Published(ctx, demo.Site, 0)
	if err != nil && !errors.Is(err, edge.ErrNone) {
		return err
	}
	before, revision, err := n.events.Note(ctx, demoNote)
	if err != nil && !errors.Is(err, edge.ErrNone) {
		return err
	}
	if live != nil {
		mark, err := markOf(live)
		if err != nil {
			return err
		}
		if !slices.Contains([]string{ownMark, string(before)}, mark) {
			own, err = withOrigins(live, origins)
			if err != nil {
				return err
			}
			ownMark = string(before) // of the demo's own, should it come back
		}
	}
	out, err := n.desk.Put(ctx, publishing.Operator(), demo.Site, own, published.Number)
	switch {
	case err != nil:
		return err
	case out.Proposal != nil:
		n.log.Warn("the demo's release waits for a second person", "proposal", out.Proposal.ID)
		return nil
	case ownMark == string(before):
		return nil
	}
	_, err = n.events.PutNote(ctx, demoNote, []byte(ownMark), revision)
	return err
}

// demoDocument is the demo site's own release for pages at origins.
func demoDocument(origins []string, modules wasmrules.ModuleSource) ([]byte, error) {
	files, err := sitefile.Read(demo.SiteFiles())
	if err != nil {
		return nil, fmt.Errorf("the demo's site: %w", err)
	}
	doc := files.Document
	doc.Settings.Origins = origins
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	return fillModules(text, modules)
}

// withOrigins returns a release for pages at other origins.
func withOrigins(document []byte, origins []string) ([]byte, error) {
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, err
	}
	doc.Settings.Origins = origins
	return json.Marshal(doc)
}

// markOf tells a release from another by what somebody wrote into it: not by its
// number, its origins and what publishing adds. It is JSON, as notes are.
func markOf(document []byte) (string, error) {
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(document, &doc); err != nil {
		return "", err
	}
	doc.Number, doc.Settings.Origins, doc.Compiled, doc.Inputs = 0, nil, nil, nil
	text, err := json.Marshal(doc)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%q", fmt.Sprintf("%x", sha256.Sum256(text))), nil
}

// demoIdentity returns the secret by which the demo's shop says who has signed in: the
// newest that the site has, else one that is made as nearside identity key makes it.
func (n *node) demoIdentity(ctx context.Context) ([]byte, error) {
	stored, err := n.desk.StoredIdentityKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("the demo's identity key: %w", err)
	}
	for _, k := range slices.Backward(stored[demo.Site]) {
		if k.Public != "" {
			continue
		}
		if secret, err := n.sealer.OpenSecret(demo.Site, k.Sealed); err == nil {
			return secret, nil
		}
	}
	text, _, err := n.desk.CreateIdentityKey(ctx, publishing.Operator(), demo.Site, "")
	if err != nil {
		return nil, fmt.Errorf("the demo's identity key: %w", err)
	}
	return base64.RawURLEncoding.DecodeString(text)
}

// The demo's own token: whoever started the demo reads it on their terminal.
const (
	demoActor     = "demo"
	demoTokenTime = 24 * time.Hour
)

// demoToken makes the token that the demo prints, and ends those of earlier
// starts.
func (n *node) demoToken(ctx context.Context) (secret string, err error) {
	op := publishing.Operator()
	tokens, err := n.desk.Tokens(ctx, op)
	if err != nil {
		return "", fmt.Errorf("the demo's token: %w", err)
	}
	for _, t := range tokens {
		if t.Actor.Name != demoActor {
			continue
		}
		if err := n.desk.RevokeToken(ctx, op, t.ID); err != nil {
			return "", fmt.Errorf("the demo's token: %w", err)
		}
	}
	actor := publishing.Actor{Name: demoActor, Role: publishing.Publisher, Sites: []string{demo.Site}}
	secret, _, err = n.desk.CreateToken(ctx, op, actor, time.Now().Add(demoTokenTime))
	if err != nil {
		return "", fmt.Errorf("the demo's token: %w", err)
	}
	return secret, nil
}

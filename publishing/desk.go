// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nearside/nearside/edge"
)

// Options are what a Desk works with. Those without a remark are needed.
type Options struct {
	Modules   Modules
	Documents Documents
	Notes     Notes
	Audits    Audits
	Releases  Releases
	Items     Items
	Checker   Checker
	// Loader compiles a release as every node will before it goes live.
	Loader edge.RuleLoader
	// Compiler is nil where there are no rules without code: a document that has
	// some is then refused.
	Compiler Compiler
	// Rehearsal loads rules for calls that serve no visitor; Loader if nil.
	Rehearsal edge.RuleLoader
	// Live is nil without a running node: status and counts are then empty.
	Live Live
	// Replayer is nil where decisions cannot be replayed.
	Replayer Replayer
	// SealPreview returns the token that opens a site's preview to whoever has it
	// until a time; nil where there are no previews.
	SealPreview func(site, id string, until time.Time) (string, error)
	// SealSecret seals a site's secret for the store, ParsePublic says of which
	// algorithm a public key in PEM is. They are needed for identity keys alone.
	SealSecret  func(site string, secret []byte) string
	ParsePublic func(pem string) (algorithm string, err error)
	// Builtin are the modules that come with the node; every site may publish
	// them without an upload.
	Builtin func() []edge.ModuleRef
	// Quota is how much each site may have.
	Quota Quota
	// Now is time.Now if nil.
	Now func() time.Time
}

// A Desk is where everything is done that happens to a module at a site. Make
// it with New.
type Desk struct {
	o          Options
	builtins   builtinReports
	tokens     atomic.Uint64 // how often one was made or revoked at this desk
	identities atomic.Uint64 // the same of identity keys
}

// New returns a desk.
func New(o Options) *Desk {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Quota.setDefaults()
	return &Desk{o: o, builtins: builtinReports{turn: make(chan struct{}, 1), of: make(map[string]*edge.ModuleReport)}}
}

// read decodes a note.
func read(n edge.Note, into any) error {
	if err := json.Unmarshal(n.Value, into); err != nil {
		return fmt.Errorf("%s: %w", n.Key, err)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"context"

	"github.com/nearside/nearside/edge"
)

func (d *Desk) builtin() []edge.ModuleRef {
	if d.o.Builtin == nil {
		return nil
	}
	return d.o.Builtin()
}

func builtinUpload(site string, ref edge.ModuleRef) *Upload {
	return &Upload{Site: site, Name: ref.Name, Version: ref.Version, Hash: ref.Hash, Signature: ref.Signature}
}

// builtinReports keeps what the check found of each module that comes with the
// node, by its hash. There are as many as the node brings.
type builtinReports struct {
	turn chan struct{} // holds something while somebody has the map
	of   map[string]*edge.ModuleReport
}

// builtinReport checks a module that comes with the node, once if it passes. Who
// wants a report meanwhile waits. The report must not be changed.
func (d *Desk) builtinReport(ctx context.Context, u *Upload) (*edge.ModuleReport, error) {
	select {
	case d.builtins.turn <- struct{}{}:
		defer func() { <-d.builtins.turn }()
	case <-ctx.Done():
		return nil, because(CodeUnavailable, "", "check", ctx.Err())
	}
	if report := d.builtins.of[u.Hash]; report != nil {
		return report, nil
	}
	wasm, err := d.o.Modules.Module(ctx, u.Hash)
	if err != nil {
		return nil, storeError(err, "module", "module "+u.Name)
	}
	report, err := d.o.Checker.Check(ctx, wasm)
	if err != nil {
		return nil, because(CodeUnavailable, "", "check", err)
	}
	if report.OK { // what was refused might only have found the checker busy
		d.builtins.of[u.Hash] = report
	}
	return report, nil
}

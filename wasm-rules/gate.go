// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"context"
	"errors"
)

// How many checks of modules run at once, each of which takes half a second of
// processor time and hundreds of megabytes at worst before the jail limits it,
// and how many more hold their module while they wait.
const (
	checksAtOnce  = 2
	checksWaiting = 8
)

// A gate bounds the checks that are under way. It is safe for concurrent use.
type gate struct{ places, turns chan struct{} }

func newGate() *gate {
	return &gate{make(chan struct{}, checksAtOnce+checksWaiting), make(chan struct{}, checksAtOnce)}
}

// enter waits for a turn. Who has no error must leave.
func (g *gate) enter(ctx context.Context) error {
	busy := &ModuleError{CodeBusy, errors.New("check: other modules are being checked")}
	select {
	case g.places <- struct{}{}:
	default:
		return busy
	}
	select {
	case g.turns <- struct{}{}: // also when ctx is over: whoever enters tells that better
		return nil
	default:
	}
	select {
	case g.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-g.places
		return busy
	}
}

func (g *gate) leave() {
	<-g.turns
	<-g.places
}

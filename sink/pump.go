// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/nearside/nearside/edge"
)

// A Frame is one message of the event log.
type Frame struct {
	Seq      uint64
	Site     string
	Received time.Time
	// Events are the message's in order, those past their expiry too.
	Events []edge.StoredEvent
	// Damaged says that the rest of the message cannot be read.
	Damaged bool
	// Lost is how many messages left the log by age before this one.
	Lost uint64
}

// A Log is the event log.
type Log interface {
	// Next returns the first message behind the one with number after, waiting for
	// it. Its error is edge.ErrEnded once there will be no more.
	Next(ctx context.Context, after uint64) (Frame, error)
	// Ends returns the numbers of the first and the newest message; first is
	// newest+1 in an empty log.
	Ends(ctx context.Context) (first, newest uint64, err error)
	// Backlog says how many messages lie behind one, and when the first of them
	// was stored.
	Backlog(ctx context.Context, after uint64) (messages uint64, oldest time.Time, err error)
}

// A Mark is how far a sink is: the newest message and the newest forgetting that
// it is done with.
type Mark struct{ Seq, Forgets uint64 }

// A Ledger keeps on disk what a Pump must not forget.
type Ledger interface {
	// MarkOf returns an edge.ErrNone for a sink without a mark.
	MarkOf(ctx context.Context, sink string) (Mark, error)
	PutMark(ctx context.Context, sink string, m Mark) error
	// PutDead keeps a dead letter in the place of the one about the same event.
	PutDead(ctx context.Context, d edge.DeadLetter) error
}

// Persons knows who is to be forgotten.
type Persons interface {
	// Forgettings returns those behind a number in order, and a channel that is
	// closed when there is another one.
	Forgettings(after uint64) ([]edge.Forgetting, <-chan struct{})
	Forgotten(p edge.Person, seq uint64) bool
}

// Options are what a Pump works with. All are needed but Newest, for an empty log,
// and Now.
type Options struct {
	Spec    *Spec
	Log     Log
	Ledger  Ledger
	Persons Persons
	Logger  *slog.Logger
	// Newest is the log's newest message before this process added any. A mark
	// beyond it is of a log that was longer once, whose numbers come again.
	Newest uint64
	Now    func() time.Time // time.Now if nil
}

// A Pump moves events from the log to one sink.
type Pump struct {
	o     Options
	pause pause
	// leftPause is the wait before a deletion that was not done is tried again: it
	// may read every file of a site.
	leftPause pause
	replays   chan replay

	mu     sync.Mutex
	status edge.SinkStatus // without what Status asks for
	mark   Mark            // the newest, on disk or not yet
	known  bool            // there is a mark
	opened bool            // the sink was open before; Run's goroutine alone looks
}

// New returns a Pump that does nothing before Run.
func New(o Options) *Pump {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Pump{
		o: o, pause: pause{time.Second, time.Minute}, leftPause: pause{10 * time.Second, 10 * time.Minute}, replays: make(chan replay),
		status: edge.SinkStatus{Name: o.Spec.Name, Kind: o.Spec.Kind, State: edge.SinkWaiting, Skipped: map[string]uint64{}},
	}
}

// Run moves events until ctx or the log ends; it returns nil then. A sink that
// fails is closed, and opened again after a pause. It is called once.
func (p *Pump) Run(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		before := p.written()
		err := p.session(ctx)
		if ctx.Err() != nil || errors.Is(err, edge.ErrEnded) {
			return nil
		}
		if errors.Is(err, ErrStopped) {
			p.set(edge.SinkStopped, err)
			p.o.Logger.Error("sink is stopped until the node is restarted", "sink", p.o.Spec.Name, "error", err)
			<-ctx.Done()
			return nil
		}
		if p.written() != before {
			attempt = 1
		}
		p.notice(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(p.pause.before(attempt)):
		}
	}
}

func (p *Pump) written() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status.Written
}

// notice notes that an attempt failed, or with nil that the sink gets on. It logs
// each change, but not each attempt.
func (p *Pump) notice(problem error) {
	if problem == nil {
		p.set(edge.SinkRunning, nil)
		return
	}
	p.mu.Lock()
	p.status.Retries++
	p.mu.Unlock()
	p.set(edge.SinkWaiting, problem)
}

func (p *Pump) set(state string, problem error) {
	text := ""
	if problem != nil {
		text = problem.Error()
	}
	p.mu.Lock()
	was := p.status.State
	p.status.State, p.status.Problem = state, text
	p.mu.Unlock()
	switch {
	case was == state:
	case state == edge.SinkWaiting:
		p.o.Logger.Warn("sink does not get on; its events wait in the log", "sink", p.o.Spec.Name, "error", problem)
	case state == edge.SinkRunning:
		p.o.Logger.Info("sink is running", "sink", p.o.Spec.Name)
	}
}

// Status tells how the sink does. It asks the log for the backlog; where that
// does not answer, the backlog is left out.
func (p *Pump) Status(ctx context.Context) edge.SinkStatus {
	p.mu.Lock()
	s := p.status
	s.Skipped = maps.Clone(s.Skipped)
	mark, known := p.mark, p.known
	p.mu.Unlock()
	if !known {
		return s
	}
	s.Position = mark.Seq
	waiting, _ := p.o.Persons.Forgettings(mark.Forgets)
	s.Forgetting = len(waiting)
	if messages, oldest, err := p.o.Log.Backlog(ctx, mark.Seq); err == nil {
		s.Backlog, s.Oldest = messages, oldest
	}
	return s
}

// A replay is a dead letter on its way to the sink.
type replay struct {
	letter edge.DeadLetter
	done   chan error // has room for the answer
}

// Why a dead letter cannot be replayed.
var (
	// ErrWithheld reports one whose event the sink may not have: it lacks a purpose
	// that the sink needs by now, it has expired, or its person is forgotten.
	ErrWithheld = errors.New("the sink may not have this event")
	// ErrNothing reports one without an event: its bytes could not be read.
	ErrNothing = errors.New("there is no event in this dead letter")
	// ErrRefused reports one that was refused again.
	ErrRefused = errors.New("the sink refused the event again")
)

// Replay gives a dead letter's event to the sink again, behind what it has by
// now, and returns once the sink has it durably. After a refusal the letter says
// so. ctx bounds the wait for a sink that is busy or does not get on.
func (p *Pump) Replay(ctx context.Context, d edge.DeadLetter) error {
	if d.Index < 0 || len(d.Body) == 0 {
		return ErrNothing
	}
	r := replay{d, make(chan error, 1)}
	select {
	case p.replays <- r:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/nearside/nearside/publishing"
)

// Options are what a Console works with.
type Options struct {
	// Desk does what is asked for; it is needed.
	Desk *publishing.Desk
	// Metrics write their part of GET /metrics in the Prometheus text format, in
	// order.
	Metrics []func(w io.Writer) error
	// Events calls emit with each stored event that the query asks for, one JSON
	// object without line breaks, and keeps none of emit's arguments. It returns
	// when there are no more, when ctx ends, or with emit's error. Without it
	// there are none.
	Events func(ctx context.Context, query EventQuery, emit func(line []byte) error) error
	// Backup writes everything that the node keeps to w. Only the operator's socket
	// serves it; without it there is none.
	Backup func(ctx context.Context, w io.Writer) error
	// Flow and Dead are where events flow on to, and what could not be taken there;
	// without them there are none.
	Flow Flow
	Dead Dead
	// Keys are the sealing keys; without it nobody can look at them or change them.
	Keys Keys
	// Eraser erases persons; without it nobody can be erased.
	Eraser Eraser
	// People are the profiles of known people; without it there are none.
	People People
	// ProfileID returns what a customer is known by in a site's events, for who
	// knows the site's own id alone. Without it nobody can be asked for by that.
	ProfileID func(site, customer string) string
	// Logger is slog.Default if nil.
	Logger *slog.Logger
	// Now is time.Now if nil.
	Now func() time.Time
}

// An EventQuery chooses stored events.
type EventQuery struct {
	Site   string    // "" for all sites
	Since  time.Time // of receipt; zero for all
	Follow bool      // go on with events as they come
	// Visitor and Profile are one person of the site, by the id that its events
	// have or by the site's own id of a customer; "" for everybody. Without Follow
	// the events come in the order in which they happened.
	Visitor, Profile string
}

// Limits of a connection. A release document may take readTime to arrive; a
// check of a module bounds itself below writeTime.
const (
	headerTime     = 10 * time.Second
	readTime       = 30 * time.Second
	writeTime      = 60 * time.Second
	idleTime       = 2 * time.Minute
	maxHeaderBytes = 16 << 10
)

// A Console answers for the operator and for those who have a token. Make it
// with New.
type Console struct {
	options Options
	routes  []route // the page's too
	socket  http.Handler
	remote  http.Handler
	servers [2]*http.Server // of the socket, of TCP
	ending  context.Context // ends streams, which would hold up a shutdown
	end     context.CancelFunc

	sessions  sessions
	languages []*language
	pages     map[string]pageTemplate // by language and name
	assets    assets
}

// New returns a console that serves nothing yet.
func New(o Options) (*Console, error) {
	if o.Desk == nil {
		return nil, errors.New("console: there is no desk")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Console{options: o}
	var err error
	if c.languages, err = loadLanguages(); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	if c.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	c.preparePages()
	api := c.table()
	c.routes = append(slices.Clone(api), c.pageTable()...)
	c.socket = c.mux(slices.Concat(api, c.socketTable()), c.operator)
	c.remote = http.NewCrossOriginProtection().Handler(c.mux(c.routes, c.visitor))
	c.ending, c.end = context.WithCancel(context.Background())
	for i, handler := range []http.Handler{c.socket, c.remote} {
		c.servers[i] = &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: headerTime,
			ReadTimeout:       readTime,
			WriteTimeout:      writeTime,
			IdleTimeout:       idleTime,
			MaxHeaderBytes:    maxHeaderBytes,
			ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
		}
	}
	return c, nil
}

// SocketHandler answers whoever reaches it as the operator, so it belongs on a
// socket that only they can open.
func (c *Console) SocketHandler() http.Handler { return c.socket }

// Handler answers those who have a token, and browsers.
func (c *Console) Handler() http.Handler { return c.remote }

// ServeSocket answers the requests of the operator's socket until Shutdown; then
// it returns nil. It owns the listener.
func (c *Console) ServeSocket(ln net.Listener) error { return c.serve(0, ln) }

// Serve answers the requests of a listener that others can reach until Shutdown;
// then it returns nil. It owns the listener.
func (c *Console) Serve(ln net.Listener) error { return c.serve(1, ln) }

func (c *Console) serve(server int, ln net.Listener) error {
	if err := c.servers[server].Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve admin: %w", err)
	}
	return nil
}

// Shutdown ends the streams of events, lets other requests finish and stops.
func (c *Console) Shutdown(ctx context.Context) error {
	c.end()
	var errs []error
	for _, s := range c.servers {
		errs = append(errs, s.Shutdown(ctx))
	}
	return errors.Join(errs...)
}

// SPDX-License-Identifier: Apache-2.0

// Package collector is the public HTTP face of Nearside: it receives beacons
// from browsers and questions and events from the sites' own servers, says what
// is allowed of them, hands them to the engine and writes its answers.
//
// What comes from outside is bounded before it is read: connections, headers,
// bodies, time, nesting, every string. A request that two readers could read in
// two ways is refused. The door's limits count a client by its address, in memory
// alone; everything behind them sees it truncated. What a browser may do is judged
// by its Origin, what a server may by its key; forwarding and PROXY headers count
// only from proxies that the operator named.
//
// The package never decides what a visitor sees, never stores anything, never
// reads a signal's meaning, and writes no visitor data into errors, logs or
// metrics. What operators do is package console's, on listeners of its own.
//
// A Server is safe for concurrent use. A request belongs to one goroutine at a time: on
// Linux to that of a loop, which has many plain connections, and to a batch's once its
// events are on their way to the disk; elsewhere, and with TLS, the PROXY protocol or a
// handler around ours, to its connection's. What is shared between requests is
// immutable, atomic or behind a lock.
package collector

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/collector/rights"
	"github.com/nearside/nearside/edge"
)

// Defaults of Options.
const (
	DefaultPrefix          = "/_near"
	DefaultPublishWait     = 20 * time.Millisecond
	DefaultPublishPatience = time.Second
	DefaultHeaderLimit     = 16 << 10
	DefaultReadTimeout     = 10 * time.Second
	DefaultWriteTimeout    = 10 * time.Second
	DefaultIdleTimeout     = 75 * time.Second // longer than proxies keep a connection, so that they close it
	DefaultMaxConns        = 8192
	DefaultMaxConnsPerIP   = 512
)

// writeBuffer holds a usual answer with its headers, so that it leaves in one
// system call.
const writeBuffer = 8 << 10

// Options are a Server's settings. Zero values are the defaults.
type Options struct {
	// Engine and Publisher do the work; they must outlive the server. Tag is
	// the script served as /tag.js. All three are needed.
	Engine    *edge.Engine
	Publisher edge.Publisher
	Tag       []byte
	// DevTag is served in its place to pages on this machine's own names, where
	// it may say on the console what a developer should know; Tag if empty.
	DevTag []byte
	// TagMap and DevTagMap are the names of those of the Files that map the two to
	// their sources; empty without one.
	TagMap, DevTagMap string
	// Files are served beside it by their names, to everybody.
	Files []File

	// Keys knows the keys of the sites' servers. Without it there are no addresses
	// for servers.
	Keys Keys
	// Identities knows by which keys sites say who has signed in. Without it nobody can
	// be identified by a page.
	Identities Identities

	// Eraser lets everything forget a visitor who asks for it. Without it the answer
	// is that the server cannot.
	Eraser Eraser
	// Profiles adds what is held of a known customer to what visitors may ask for;
	// nothing if nil.
	Profiles Profiles

	// Prefix is where the public addresses answer on a site's own origin, and
	// the cookie's path: a slash and plain characters, DefaultPrefix if empty.
	Prefix string
	// Tuning is what Tune may change later.
	Tuning
	// Ready says why the process cannot do its work, nil if it can. It is asked
	// by /readyz and must be quick. Without it the process is always ready.
	Ready  func() error
	Logger *slog.Logger     // slog.Default if nil
	Now    func() time.Time // time.Now if nil

	// PublishWait is how long the answer of a beacon that asks for slots waits
	// for its events to be on disk, PublishPatience how long any other does.
	PublishWait, PublishPatience time.Duration

	// HeaderLimit bounds the request line and headers in bytes.
	HeaderLimit int
	// ReadTimeout bounds the arrival of a whole request, WriteTimeout the
	// writing of an answer, IdleTimeout the wait for another request.
	ReadTimeout, WriteTimeout, IdleTimeout time.Duration
	// TLS is what to speak on every listener, nil for plain HTTP. Its callbacks
	// may change what it answers while the server runs.
	TLS *tls.Config
	// ProxyProtocol says that every connection of a trusted proxy begins with a
	// PROXY protocol header, of version 1 or 2. Nobody else may connect then, but
	// for this machine's own loopback addresses, without a header.
	ProxyProtocol bool

	// MaxConns bounds open connections, MaxConnsPerIP those of one IPv4 address
	// or IPv6 /64 that is not a trusted proxy.
	MaxConns, MaxConnsPerIP int
}

// A Server is the public HTTP face. Make it with New.
type Server struct {
	options   Options
	realTime  bool // Options.Now is time.Now
	engine    *edge.Engine
	publisher edge.Publisher
	routes    []route
	script    *script
	devScript *script // nil without one
	files     []route
	devices   *devices
	languages *languages
	page      *rights.Page
	// pageLanguages are the page's own.
	pageLanguages *siteLanguages
	referrers     *referrers
	metrics       *metrics
	door          *door
	tuning        atomic.Pointer[tuning]
	paces         *paces
	rations       *rations
	dates         dates
	exchanges     sync.Pool
	batches       sync.Pool
	large         largeBodies
	decides       sync.Pool
	draining      atomic.Bool
	stopping      atomic.Bool // Shutdown closes what rests
	logBroken     atomic.Bool // the publisher failed last time, and not for being slow

	mu      sync.Mutex
	closed  bool
	serving []serving
}

// A serving is one listener at work.
type serving struct {
	server *fasthttp.Server
	way    *doorway
}

// New returns a server that serves nothing yet.
func New(o Options) (*Server, error) {
	if o.Engine == nil || o.Publisher == nil || len(o.Tag) == 0 {
		return nil, errors.New("collector: engine, publisher and tag are needed")
	}
	realTime := o.Now == nil
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	plain, err := newScript(o.Tag)
	if err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	plain.sourceMap = o.TagMap
	var devScript *script
	if len(o.DevTag) > 0 {
		if devScript, err = newScript(o.DevTag); err != nil {
			return nil, fmt.Errorf("collector: %w", err)
		}
		devScript.sourceMap = o.DevTagMap
	}
	page, err := rights.New()
	if err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	s := &Server{
		options: o, realTime: realTime, engine: o.Engine, publisher: o.Publisher, script: plain, devScript: devScript,
		devices: newDevices(), languages: newLanguages(), referrers: newReferrers(), metrics: newMetrics(),
		paces: newPaces(), rations: newRations(), page: page, pageLanguages: newSiteLanguages(rights.Languages),
	}
	if err := s.Tune(o.Tuning); err != nil {
		return nil, err
	}
	s.door = newDoor(&s.options, &s.tuning, s.metrics)
	if s.files, err = fileRoutes(o.Files); err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	s.routes = s.publicRoutes()
	s.exchanges.New = func() any { return new(exchange) }
	s.batches.New = func() any { return new(batchCall) }
	s.decides.New = func() any { return new(decideCall) }
	return s, nil
}

// complete fills in the defaults and checks the rest.
func (o *Options) complete() error {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if !validPrefix(o.Prefix) {
		return errors.New("prefix must be a slash followed by letters, digits, dashes, underscores or slashes, and not end in one")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		usual time.Duration
	}{
		{"publish wait", &o.PublishWait, DefaultPublishWait},
		{"publish patience", &o.PublishPatience, DefaultPublishPatience},
		{"read timeout", &o.ReadTimeout, DefaultReadTimeout},
		{"write timeout", &o.WriteTimeout, DefaultWriteTimeout},
		{"idle timeout", &o.IdleTimeout, DefaultIdleTimeout},
	} {
		if *d.value < 0 {
			return fmt.Errorf("%s is negative", d.name)
		}
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	for _, n := range []struct {
		name         string
		value        *int
		usual, least int
	}{
		{"header limit", &o.HeaderLimit, DefaultHeaderLimit, 1 << 10},
		{"connection limit", &o.MaxConns, DefaultMaxConns, 1},
		{"connection limit per address", &o.MaxConnsPerIP, DefaultMaxConnsPerIP, 1},
	} {
		if *n.value == 0 {
			*n.value = n.usual
		}
		if *n.value < n.least {
			return fmt.Errorf("%s is below %d", n.name, n.least)
		}
	}
	return nil
}

func validPrefix(p string) bool {
	if p[0] != '/' || strings.HasSuffix(p, "/") || strings.Contains(p, "//") {
		return false
	}
	return !strings.ContainsFunc(p, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '/')
	})
}

// Handler returns the handler of the public addresses, so that it can be
// wrapped before it is served.
func (s *Server) Handler() fasthttp.RequestHandler { return s.handle }

// ErrClosed is returned by Serve once the server has been shut down.
var ErrClosed = errors.New("collector: server is closed")

// Serve answers the requests of a listener until Shutdown; then it returns nil. With
// h nil it answers by itself, beacons in loops and on the fast path; else h answers
// them all, usually Handler's within another. It owns the listener. It may be called
// for several listeners, which share the limits.
func (s *Server) Serve(ln net.Listener, h fasthttp.RequestHandler) error {
	o, fast := &s.options, s
	if h == nil {
		h = s.handle
	} else {
		fast = nil
	}
	server := &fasthttp.Server{
		Handler:                      guard(h, s.recovered),
		ErrorHandler:                 s.refuseUnread,
		Logger:                       quietLogger{o.Logger},
		Concurrency:                  o.MaxConns + o.MaxConns/8 + 16, // the door counts; a worker ends after its connection
		ReadBufferSize:               o.HeaderLimit,
		WriteBufferSize:              writeBuffer,
		ReadTimeout:                  o.ReadTimeout,
		WriteTimeout:                 o.WriteTimeout,
		IdleTimeout:                  o.IdleTimeout,
		MaxRequestBodySize:           edge.MaxBeaconBytes,
		DisablePreParseMultipartForm: true,
		SecureErrorLogMessage:        true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		CloseOnShutdown:              true,
	}
	if o.Keys != nil {
		server.HeaderReceived = s.bodyLimits
	}
	way := &doorway{Listener: ln, door: s.door, tls: o.TLS, proxied: o.ProxyProtocol, fast: fast}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		_ = ln.Close()
		return ErrClosed
	}
	if fast != nil && o.TLS == nil && !o.ProxyProtocol {
		var err error
		if way.loops, err = newLoops(way, func(g *guest) { _ = server.ServeConn(g) }); err != nil {
			s.mu.Unlock()
			_ = ln.Close()
			return fmt.Errorf("serve: %w", err)
		}
	}
	s.serving = append(s.serving, serving{server, way})
	s.mu.Unlock()
	if err := server.Serve(way); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// Drain says from now on that the server is not ready, and with each answer that
// its connection closes, so that whoever sends goes elsewhere. It still serves.
func (s *Server) Drain() { s.draining.Store(true) }

// Shutdown stops accepting connections, lets the requests under way finish and
// closes idle connections. When ctx ends first the rest is broken off, and the
// error is ctx's.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	s.stopping.Store(true)
	s.mu.Lock()
	s.closed = true
	list := s.serving
	s.serving = nil
	s.mu.Unlock()
	errs := make([]error, len(list))
	for i := range list {
		errs[i] = list[i].way.Close() // also if its server has not begun yet
	}
	s.door.each(holder.stop)
	var done sync.WaitGroup
	for i := range list {
		done.Go(func() { errs[i] = errors.Join(errs[i], list[i].finish(ctx)) })
	}
	done.Wait()
	s.door.each(holder.drop)
	return errors.Join(errs...)
}

// finish lets the requests under way finish. The loops come first: what they leave to
// the server is under way there then.
func (g serving) finish(ctx context.Context) error {
	var late error
	for _, l := range g.way.loops {
		l.stop()
	}
	for _, l := range g.way.loops {
		select {
		case <-l.done:
		case <-ctx.Done():
			late = ctx.Err()
		}
	}
	return errors.Join(late, g.server.ShutdownWithContext(ctx))
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/collector"
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/geo"
	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/stream"
	"github.com/nearside/nearside/tag"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// shutdownTime is how long a node takes at most to finish what it has begun.
const shutdownTime = 20 * time.Second

// A node is everything one process runs. It is the only place that knows every
// package.
type node struct {
	cfg     Config
	log     *slog.Logger
	places  *geo.DB
	modules wasmrules.ModuleSource
	rules   *wasmrules.Host
	events  *stream.Stream
	engine  *edge.Engine
	server  *collector.Server
	desk    *publishing.Desk

	initial chan struct{} // closed when every stored release has been tried
	closers []func() error
}

// run serves until ctx ends, then drains: requests under way are answered and
// what was accepted is on disk before it returns. ready is called once with
// the base URL, when the node answers that it is ready.
func run(ctx context.Context, cfg Config, log *slog.Logger, ready func(base string)) (err error) {
	if os.Getenv("GOMAXPROCS") == "" {
		// A sync holds a processor while it blocks (package stream).
		runtime.GOMAXPROCS(runtime.NumCPU() + 1)
	}
	n := &node{cfg: cfg, log: log, initial: make(chan struct{})}
	defer func() { err = errors.Join(err, n.close()) }()
	if err := n.open(); err != nil {
		return err
	}
	public, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer public.Close()
	admin, err := listenAdmin(cfg.Data)
	if err != nil {
		return err
	}
	defer admin.Close()

	base := "http://" + public.Addr().String()
	handler, err := n.handler(ctx, base)
	if err != nil {
		return err
	}
	return n.serve(ctx, handler, public, admin, func() { ready(base) })
}

// open opens what the node owns, in the order it needs them.
func (n *node) open() error {
	if err := os.MkdirAll(n.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	sealer, err := openSealer(n.cfg.Data)
	if err != nil {
		return err
	}
	n.places, err = geo.Open(geo.Options{File: n.cfg.GeoDatabase, ReloadEvery: n.cfg.GeoReload, Logger: n.log})
	if err != nil {
		return fmt.Errorf("open places: %w", err)
	}
	n.closers = append(n.closers, n.places.Close)
	n.modules = openModules(n.cfg)
	n.rules, err = wasmrules.New(wasmrules.Options{Source: n.modules, CacheDir: filepath.Join(n.cfg.Data, "cache")})
	if err != nil {
		return fmt.Errorf("open rules: %w", err)
	}
	n.closers = append(n.closers, n.rules.Close)
	n.events, err = stream.Open(stream.Options{
		Dir: n.cfg.Data, Node: n.cfg.Node, Window: n.cfg.StreamWindow, MaxLogBytes: n.cfg.StreamMaxBytes, Logger: n.log,
	})
	if err != nil {
		return fmt.Errorf("open stream: %w", err)
	}
	n.closers = append(n.closers, n.closeEvents)
	n.openDesk()
	n.engine = edge.New(edge.Options{Node: n.cfg.Node, Locator: n.places, Loader: n.rules, Sealer: sealer})
	n.server, err = collector.New(collector.Options{
		Engine: n.engine, Publisher: n.events, Tag: tag.Script, DevTag: tag.DevScript, Prefix: n.cfg.Prefix,
		TrustedProxies: n.cfg.Proxies, Logger: n.log, Ready: n.ready,
	})
	return err
}

func (n *node) closeEvents() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	return n.events.Close(ctx)
}

// close closes what open opened, last first.
func (n *node) close() error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		errs = append(errs, n.closers[i]())
	}
	return errors.Join(errs...)
}

// ready reports whether the node can do its work, which is to decide: every
// stored release has been tried. A log that is full or down is no reason to
// take the node away; the metrics tell of it, and the tag keeps its events.
func (n *node) ready() error {
	select {
	case <-n.initial:
		return nil
	default:
		return errors.New("releases are still being loaded")
	}
}

// handler is the public face, with the demo shop around it when asked for.
func (n *node) handler(ctx context.Context, base string) (fasthttp.RequestHandler, error) {
	handler := n.server.Handler()
	if !n.cfg.Demo {
		return handler, nil
	}
	shop, err := newDemo(n.cfg, n.modules)
	if err != nil {
		return nil, err
	}
	if err := n.publishDemo(ctx, shop.Release(append(demoOrigins(base), n.cfg.DemoOrigins...))); err != nil {
		return nil, fmt.Errorf("publish the demo: %w", err)
	}
	return shop.Wrap(handler), nil
}

// serve runs the listeners and the watch on releases until ctx ends or one of
// them fails, and waits for all of them.
func (n *node) serve(ctx context.Context, handler fasthttp.RequestHandler, public, admin net.Listener, ready func()) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	start := func(what string, work func() error) {
		wg.Go(func() {
			if err := work(); err != nil && ctx.Err() == nil {
				stop(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	operator, err := n.admin()
	if err != nil {
		return err
	}
	start("serve", func() error { return n.server.Serve(public, handler) })
	start("admin", func() error { return operator.ServeSocket(admin) })
	start("watch releases", func() error { return n.watch(ctx) })
	start("wait until ready", func() error {
		if err := awaitReady(ctx, "http://"+public.Addr().String()); err != nil {
			return err
		}
		ready()
		return nil
	})

	<-ctx.Done()
	drain, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	err = errors.Join(n.server.Shutdown(drain), operator.Shutdown(drain))
	wg.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	return err
}

// watch makes every stored release live, and each new one as it comes. One
// that does not compile here is logged and the one before goes on serving.
func (n *node) watch(ctx context.Context) error {
	return n.events.WatchReleases(ctx, func(u stream.ReleaseUpdate) {
		if u.Complete {
			close(n.initial)
			return
		}
		if live, ok := n.engine.Release(u.Site); ok && live.Number() == u.Number {
			return
		}
		err := u.Err
		if err == nil {
			_, err = n.engine.Publish(u.Doc)
		}
		if err != nil {
			n.log.Error("release not published", "site", u.Site, "number", u.Number, "error", err)
			return
		}
		n.log.Info("release live", "site", u.Site, "number", u.Number)
	})
}

// openModules is the rule modules a node can load: the built-in ones and those
// of its modules directory.
func openModules(cfg Config) wasmrules.ModuleSource {
	dir := cfg.Modules
	if dir == "" {
		dir = filepath.Join(cfg.Data, "modules")
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return wasmrules.Embedded()
		}
	}
	return wasmrules.Chain(wasmrules.Embedded(), wasmrules.DirSource(dir))
}

// metrics writes what the parts count, for the admin listener.
func (n *node) metrics(w io.Writer) error {
	out := bufio.NewWriter(w)
	writeStreamMetrics(out, n.events.Stats())
	writeGeoMetrics(out, n.places.Status())
	return out.Flush()
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/collector"
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/geo"
	"github.com/nearside/nearside/insight"
	"github.com/nearside/nearside/prompt"
	"github.com/nearside/nearside/stream"
	"github.com/nearside/nearside/tag"
)

// shutdownTime is how long a node takes at most to finish what it has begun.
const shutdownTime = 20 * time.Second

// A node is everything one process runs. It is the only place that knows every
// package.
type node struct {
	*workshop
	places   *geo.DB
	engine   *edge.Engine
	server   *collector.Server
	settings *settler
	tally    *insight.Tally

	hup      chan os.Signal // asks to read the settings again; one asked while the node opens waits for it
	releases *adoption
	initial  chan struct{} // closed when every stored release has been tried
}

// run serves until ctx ends, then drains: requests under way are answered and
// what was accepted is on disk before it returns. ready is called once, when
// the node answers that it is ready; for the demo with a token for its console.
func run(ctx context.Context, cfg Config, log *slog.Logger, ready func(on listeners, secret string)) (err error) {
	if os.Getenv("GOMAXPROCS") == "" {
		// A sync holds a processor while it blocks (package stream), and the runtime
		// looks every few microseconds for one to take away where none is to spare.
		runtime.GOMAXPROCS(runtime.NumCPU() + 2)
	}
	if os.Getenv("GOGC") == "" { // which whoever starts the node has set
		collectSeldom(ctx)
	}
	n := &node{initial: make(chan struct{}), hup: make(chan os.Signal, 1)}
	signal.Notify(n.hup, syscall.SIGHUP) // whose default is to end the process, also one that is just opening its data
	defer signal.Stop(n.hup)
	n.workshop, err = openWorkshop(cfg, log, liveNode{n})
	defer func() { err = errors.Join(err, n.close()) }()
	if err != nil {
		return err
	}
	if err := n.open(ctx); err != nil {
		return err
	}
	on, err := n.listen()
	if err != nil {
		return err
	}
	defer on.close()
	handler, err := n.handler(ctx, on.base())
	if err != nil {
		return err
	}
	secret := ""
	if cfg.Demo && on.admin != nil {
		if secret, err = n.demoToken(ctx); err != nil {
			return err
		}
	}
	return n.serve(ctx, handler, on, func() { ready(on, secret) })
}

// listeners are where a node answers.
type listeners struct {
	public net.Listener
	socket net.Listener // the operator's
	admin  net.Listener // for who has a token; nil without

	publicTLS, adminTLS bool
}

func (n *node) listen() (on listeners, err error) {
	cfg := n.cfg
	adminTLS := n.settings.tlsOf(&n.settings.admin)
	on.publicTLS, on.adminTLS = n.settings.tlsOf(&n.settings.public) != nil, adminTLS != nil
	if on.public, err = net.Listen("tcp", cfg.Addr); err != nil {
		return on, fmt.Errorf("listen: %w", err)
	}
	if on.socket, err = listenAdmin(cfg.Data); err != nil {
		on.close()
		return on, err
	}
	if cfg.AdminAddr == "" {
		return on, nil
	}
	if !loopback(cfg.AdminAddr) && adminTLS == nil {
		n.log.Warn("others can reach the admin listener, and it speaks plain HTTP: give it --admin.tls-cert, or put TLS in front of it", "addr", cfg.AdminAddr)
	}
	if on.admin, err = net.Listen("tcp", cfg.AdminAddr); err != nil {
		on.close()
		return on, fmt.Errorf("listen for the admin API: %w", err)
	}
	if adminTLS != nil {
		on.admin = tls.NewListener(on.admin, adminTLS)
	}
	return on, nil
}

func (on listeners) close() {
	for _, l := range []net.Listener{on.public, on.socket, on.admin} {
		if l != nil {
			l.Close()
		}
	}
}

// base is the public listener's address.
func (on listeners) base() string { return scheme(on.publicTLS) + on.public.Addr().String() }

func scheme(secure bool) string {
	if secure {
		return "https://"
	}
	return "http://"
}

// console is the admin listener's address, "" without one.
func (on listeners) console() string {
	if on.admin == nil {
		return ""
	}
	return scheme(on.adminTLS) + on.admin.Addr().String() + "/console"
}

// open opens what the node has beside the workshop.
func (n *node) open(ctx context.Context) (err error) {
	if n.settings, err = newSettler(n); err != nil {
		return err
	}
	n.places, err = geo.Open(geo.Options{Files: n.cfg.geoFiles(), ReloadEvery: n.cfg.GeoReload, Logger: n.log})
	if err != nil {
		return fmt.Errorf("open places: %w", err)
	}
	n.closers = append(n.closers, n.places.Close)
	if err := n.keepModules(ctx); err != nil {
		return err
	}
	if err := n.flows.open(ctx, n.cfg.Sinks, n.log); err != nil {
		return err
	}
	n.tally = insight.New(insight.Options{Log: tallyLog{n.events}, Notes: n.events, Logger: n.log})
	n.engine = edge.New(edge.Options{Node: n.cfg.Node, Locator: n.places, Loader: n.rules, Sealer: n.sealer, Erasures: n.events, Previewer: liveNode{n}, Profiles: n.people.profiles})
	n.people.keep = n.keepProfiles
	n.releases = newAdoption(n.engine, n.log)
	n.server, err = collector.New(collector.Options{
		Engine: n.engine, Publisher: n.events, Files: tagFiles(), Prefix: n.cfg.Prefix,
		Tag: tag.Script, TagMap: tag.ScriptMap(), DevTag: tag.DevScript, DevTagMap: tag.DevScriptMap,
		Tuning: n.cfg.tuning(), TLS: n.settings.tlsOf(&n.settings.public), ProxyProtocol: n.cfg.Door.ProxyProtocol,
		MaxConns: n.cfg.Door.MaxConns, MaxConnsPerIP: n.cfg.Door.MaxConnsPerIP,
		ReadTimeout: n.cfg.Door.ReadTimeout, WriteTimeout: n.cfg.Door.WriteTimeout, IdleTimeout: n.cfg.Door.IdleTimeout,
		Logger: n.log, Ready: n.ready, Keys: newServerKeys(n.desk, n.log), Identities: newIdentities(n.desk, n.sealer, n.log),
		Eraser: eraser{n.flows, n.people}, Profiles: n.people,
	})
	return err
}

// tagFiles are the tag's other builds and what belongs to them, and the consent
// prompt, as the collector serves them. It serves tag.js itself.
func tagFiles() []collector.File {
	files := []collector.File{{Name: "prompt.js", Body: prompt.Script}, {Name: "prompt.css", Body: prompt.Style}}
	for _, f := range tag.Files() {
		if f.Name != "tag.js" {
			files = append(files, collector.File(f))
		}
	}
	return files
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

// handler is the demo shop around the public face when that is asked for, else nil:
// the face answers by itself.
func (n *node) handler(ctx context.Context, base string) (fasthttp.RequestHandler, error) {
	if !n.cfg.Demo {
		return nil, nil
	}
	secret, err := n.demoIdentity(ctx)
	if err != nil {
		return nil, err
	}
	shop, err := newDemo(n.cfg, secret)
	if err != nil {
		return nil, err
	}
	if err := n.publishDemo(ctx, append(demoOrigins(base), n.cfg.DemoOrigins...)); err != nil {
		return nil, fmt.Errorf("publish the demo: %w", err)
	}
	return shop.Wrap(n.server.Handler()), nil
}

// serve runs the listeners and the watch on releases until ctx ends or one of
// them fails, and waits for all of them.
func (n *node) serve(ctx context.Context, handler fasthttp.RequestHandler, on listeners, ready func()) error {
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
	face, err := n.console(n.server.WritePrometheus, n.metrics)
	if err != nil {
		return err
	}
	start("serve", func() error { return n.server.Serve(on.public, handler) })
	start("operator's socket", func() error { return face.ServeSocket(on.socket) })
	if on.admin != nil {
		start("admin", func() error { return face.Serve(on.admin) })
	}
	start("watch settings", func() error { return n.settings.watch(ctx) })
	start("watch keys", func() error { return n.keys.watch(ctx) })
	start("watch releases", func() error { return n.watch(ctx) })
	start("retry releases", func() error { return n.releases.retry(ctx) })
	start("count", func() error { return n.count(ctx) })
	start("expire", func() error { return n.expire(ctx) })
	start("erase", func() error { return n.events.RunErasures(ctx) })
	start("follow erasures", func() error { return n.events.FollowErasures(ctx) })
	for _, p := range n.flows.pumps {
		start("sink", func() error { return p.Run(ctx) })
	}
	start("wait until ready", func() error {
		if err := awaitReady(ctx, on.base()); err != nil {
			return err
		}
		ready()
		return nil
	})

	<-ctx.Done()
	if wait := time.Duration(n.settings.drain.Load()); wait > 0 && errors.Is(context.Cause(ctx), context.Canceled) {
		n.log.Info("draining: not ready, and still serving", "for", wait)
		n.server.Drain()
		time.Sleep(wait)
	}
	drain, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	err = errors.Join(n.server.Shutdown(drain), face.Shutdown(drain))
	wg.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	return err
}

// watch makes every stored release live, and each new one as it comes.
func (n *node) watch(ctx context.Context) error {
	return n.events.WatchReleases(ctx, func(u stream.ReleaseUpdate) {
		if u.Complete {
			close(n.initial)
			return
		}
		n.releases.adopt(u)
	})
}

// countRetry is the pause before counting begins again.
const countRetry = 10 * time.Second

// count counts what is shown until ctx ends. A log that cannot be read is no
// reason to stop deciding.
func (n *node) count(ctx context.Context) error {
	for {
		err := n.tally.Run(ctx)
		if ctx.Err() != nil || errors.Is(err, stream.ErrClosed) {
			return nil
		}
		n.log.Warn("counting broke off; it begins again", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(countRetry):
		}
	}
}

// expireEvery is the pause between two looks for what has been kept long enough.
const expireEvery = time.Hour

// expire deletes what has been kept long enough until ctx ends.
func (n *node) expire(ctx context.Context) error {
	for {
		if err := n.events.Expire(ctx, n.retain); err != nil && ctx.Err() == nil {
			n.log.Warn("what was kept long enough is deleted later", "error", err)
		}
		if err := n.people.profiles.Expire(ctx, n.keepProfiles); err != nil && ctx.Err() == nil {
			n.log.Warn("profiles that were kept long enough are deleted later", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(expireEvery):
		}
	}
}

// retain is how long the events of a site are kept, 0 where no release says.
func (n *node) retain(site string) time.Duration {
	if release, ok := n.engine.Release(site); ok {
		return release.Retain()
	}
	return 0
}

// keepProfiles is how long the profiles of a site are kept that nothing touches.
func (n *node) keepProfiles(site string) time.Duration {
	if release, ok := n.engine.Release(site); ok {
		return release.KeepProfiles()
	}
	return 0
}

// metrics writes what the parts count, for the admin listener.
func (n *node) metrics(w io.Writer) error {
	out := bufio.NewWriter(w)
	writeStreamMetrics(out, n.events.Stats())
	writeProfileMetrics(out, n.people.profiles.Stats())
	writeGeoMetrics(out, n.places.Status())
	writeModuleMetrics(out, n.rules.Status())
	writeProcessMetrics(out)
	n.writeFlowMetrics(out)
	gauge(out, "nearside_releases_refused", "sites whose newest release is not served", n.releases.refused())
	n.keys.writeMetrics(out, time.Now())
	writeSettingsMetrics(out, n.settings)
	writeBuildMetrics(out)
	return out.Flush()
}

// writeFlowMetrics writes what the sinks count. A log that does not answer leaves
// it out.
func (n *node) writeFlowMetrics(w io.Writer) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := n.flows.writeMetrics(ctx, w); err != nil {
		n.log.Warn("metrics leave the sinks out", "error", err)
	}
}

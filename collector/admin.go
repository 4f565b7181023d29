// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge"
)

// Errors that the functions of AdminOptions wrap.
var (
	ErrNoSite   = errors.New("no such site")
	ErrConflict = errors.New("release number conflict")
	ErrInvalid  = errors.New("invalid release")
)

// AdminOptions are what the admin side works with. A missing function's address
// answers 404. They are called by many goroutines at once.
type AdminOptions struct {
	// Metrics write their part of GET /metrics in the Prometheus text format, in
	// order.
	Metrics []func(w io.Writer) error
	// Events calls emit with each stored event that the query asks for, one JSON
	// object without line breaks, and keeps none of emit's arguments. It returns
	// when there are no more, when ctx ends, or with emit's error.
	Events func(ctx context.Context, query EventQuery, emit func(line []byte) error) error
	// Releases returns a JSON list of the sites with their release numbers.
	Releases func(ctx context.Context) ([]byte, error)
	// Release returns a site's live release and its number; its error wraps
	// ErrNoSite if there is none.
	Release func(ctx context.Context, site string) (document []byte, number uint64, err error)
	// PutRelease makes a document a site's release if the one before has the
	// number follows (0: there is none) and returns the new number. Its error
	// wraps ErrConflict if not, and ErrInvalid if the document is refused; the
	// caller is told the latter's text.
	PutRelease func(ctx context.Context, site string, document []byte, follows uint64) (number uint64, err error)
	// Logger is slog.Default if nil.
	Logger *slog.Logger
}

// An EventQuery chooses stored events.
type EventQuery struct {
	Site   string    // "" for all sites
	Since  time.Time // of receipt; zero for all
	Follow bool      // go on with events as they come
}

// adminReadTimeout bounds the arrival of an admin request, a release document
// included.
const adminReadTimeout = 30 * time.Second

// An Admin is the operator's side: metrics, events and releases. It asks for no
// credentials, so whoever reaches its listener is the operator: serve it on a
// socket that only they can open. Make it with NewAdmin.
type Admin struct {
	options AdminOptions
	server  *fasthttp.Server
	ctx     context.Context
	stop    context.CancelFunc
	done    sync.WaitGroup // streams
}

// NewAdmin returns an admin side that serves nothing yet.
func NewAdmin(o AdminOptions) *Admin {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	a := &Admin{options: o}
	a.ctx, a.stop = context.WithCancel(context.Background())
	a.server = &fasthttp.Server{
		Handler:                      guard(a.handle, a.recovered),
		ErrorHandler:                 func(ctx *fasthttp.RequestCtx, err error) { refusalOf(err).write(ctx) },
		Logger:                       quietLogger{o.Logger},
		ReadTimeout:                  adminReadTimeout,
		ReadBufferSize:               DefaultHeaderLimit,
		MaxRequestBodySize:           edge.MaxReleaseBytes,
		ReduceMemoryUsage:            true, // a release document is large and rare
		DisablePreParseMultipartForm: true,
		SecureErrorLogMessage:        true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		CloseOnShutdown:              true,
	}
	return a
}

// Handler returns the admin handler.
func (a *Admin) Handler() fasthttp.RequestHandler { return a.handle }

// Serve answers the requests of a listener until Shutdown; then it returns nil.
// It owns the listener.
func (a *Admin) Serve(ln net.Listener) error {
	if err := a.server.Serve(ln); err != nil {
		return fmt.Errorf("serve admin: %w", err)
	}
	return nil
}

// Shutdown ends the streams of events, lets other requests finish and stops.
func (a *Admin) Shutdown(ctx context.Context) error {
	a.stop()
	err := a.server.ShutdownWithContext(ctx)
	ended := make(chan struct{})
	go func() { a.done.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done(): // a client that does not read holds its stream
		err = errors.Join(err, ctx.Err())
	}
	return err
}

func (a *Admin) recovered(ctx *fasthttp.RequestCtx, p any) {
	logPanic(a.options.Logger, p)
	ctx.Response.Reset()
	errInternal.write(ctx)
}

func (a *Admin) handle(ctx *fasthttp.RequestCtx) {
	err := a.serve(ctx)
	if err == nil {
		return
	}
	r := refusalOf(err)
	if r == errInternal {
		a.options.Logger.Error("admin request", "path", string(ctx.Path()), "error", err)
	}
	r.write(ctx)
}

func (a *Admin) serve(ctx *fasthttp.RequestCtx) error {
	o := &a.options
	path, method := string(ctx.Path()), string(ctx.Method())
	site, ofSite := strings.CutPrefix(path, "/v1/releases/")
	isGet := method == fasthttp.MethodGet || method == fasthttp.MethodHead
	switch {
	case path == "/healthz" && isGet:
		sayOK(ctx)
		return nil
	case path == "/metrics" && isGet:
		return a.metrics(ctx)
	case path == "/v1/events" && isGet && o.Events != nil:
		return a.events(ctx)
	case path == "/v1/releases" && isGet && o.Releases != nil:
		return a.releases(ctx)
	case ofSite && isGet && o.Release != nil:
		return a.release(ctx, site)
	case ofSite && method == fasthttp.MethodPut && o.PutRelease != nil:
		return a.putRelease(ctx, site)
	case ofSite, path == "/healthz", path == "/metrics", path == "/v1/events", path == "/v1/releases":
		return errMethod
	}
	return errNotFound
}

func (a *Admin) metrics(ctx *fasthttp.RequestCtx) error {
	ctx.Response.Header.SetContentType("text/plain; version=0.0.4; charset=utf-8")
	for _, write := range a.options.Metrics {
		if err := write(ctx.Response.BodyWriter()); err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
	}
	return nil
}

func (a *Admin) releases(ctx *fasthttp.RequestCtx) error {
	list, err := a.options.Releases(a.ctx)
	if err != nil {
		return fmt.Errorf("list releases: %w", err)
	}
	ctx.Response.Header.SetContentType(contentTypeJSON)
	ctx.Response.SetBody(list)
	return nil
}

func (a *Admin) release(ctx *fasthttp.RequestCtx, site string) error {
	document, number, err := a.options.Release(a.ctx, site)
	if err != nil {
		return fmt.Errorf("read release: %w", err)
	}
	ctx.Response.Header.SetContentType(contentTypeJSON)
	setHeader(&ctx.Response.Header, "ETag", quoteNumber(number))
	ctx.Response.SetBody(document)
	return nil
}

// putRelease is compare-and-swap: If-Match names the number that the document
// follows.
func (a *Admin) putRelease(ctx *fasthttp.RequestCtx, site string) error {
	match := strings.Trim(string(ctx.Request.Header.Peek("If-Match")), `"`)
	if match == "" {
		return errNoNumber
	}
	follows, err := strconv.ParseUint(match, 10, 64)
	if err != nil {
		return errNoNumber
	}
	number, err := a.options.PutRelease(a.ctx, site, ctx.PostBody(), follows)
	if err != nil {
		return fmt.Errorf("publish release: %w", err)
	}
	ctx.Response.Header.SetContentType(contentTypeJSON)
	setHeader(&ctx.Response.Header, "ETag", quoteNumber(number))
	ctx.Response.SetBody(append(strconv.AppendUint([]byte(`{"number":`), number, 10), '}'))
	return nil
}

func quoteNumber(n uint64) string { return `"` + strconv.FormatUint(n, 10) + `"` }

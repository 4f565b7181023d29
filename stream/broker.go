// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// brokerWait bounds one step of starting the server and each request to it
// that has no deadline of its own.
const brokerWait = 10 * time.Second

// A broker is one run of the embedded server with what hangs on it. A write
// error closes its streams for good, so a Stream replaces a broken broker by a
// new one over the same directory. What uses a broker is bound to its life: a
// request to a server that is gone would wait for its time-out.
type broker struct {
	srv *server.Server
	// Commits have a connection of their own, so that no read stands before one.
	commitConn, conn *nats.Conn
	commits          jetstream.JetStream
	js               jetstream.JetStream
	stores

	life context.Context
	end  context.CancelFunc
	once sync.Once
}

// openBroker starts the server over dir/jetstream and makes sure that its
// streams exist.
func openBroker(o *Options) (*broker, error) { return startBroker(o, true) }

// startBroker is openBroker, but for whether each message is synced.
func startBroker(o *Options, syncAlways bool) (b *broker, err error) {
	log := &serverLog{log: o.Logger}
	srv, err := server.NewServer(&server.Options{
		ServerName: o.Node,
		DontListen: true,
		NoSigs:     true,
		NoLog:      true,
		JetStream:  true,
		StoreDir:   o.Dir,
		// Acknowledged means on disk. The server's default syncs every two minutes.
		SyncAlways: syncAlways,
		// Each stream has its own bound; one over all would keep the server from
		// loading a log that was opened with a larger one before.
		JetStreamMaxStore:      1 << 60,
		JetStreamMaxMemory:     64 << 20, // readers' cursors; the streams are on disk
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return nil, fmt.Errorf("make embedded server: %w", err)
	}
	srv.SetLogger(log, false, false)
	b = &broker{srv: srv}
	b.life, b.end = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	srv.Start()
	if cause := log.fatal(); cause != "" {
		return nil, fmt.Errorf("start embedded server: %s", cause)
	}
	if !srv.ReadyForConnections(brokerWait) {
		return nil, errors.New("start embedded server: not ready in time")
	}
	if b.commitConn, b.commits, err = connect(srv, "commits", o.Logger); err != nil {
		return nil, err
	}
	if b.conn, b.js, err = connect(srv, "store", o.Logger); err != nil {
		return nil, err
	}
	return b, b.open(b.js, o)
}

func connect(srv *server.Server, name string, log *slog.Logger) (*nats.Conn, jetstream.JetStream, error) {
	conn, err := nats.Connect("",
		nats.InProcessServer(srv),
		nats.Name(name),
		nats.NoReconnect(), // a broker is replaced, not mended
		nats.Timeout(brokerWait),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Debug("event log connection", "connection", name, "error", err)
		}))
	if err != nil {
		return nil, nil, fmt.Errorf("connect to embedded server: %w", err)
	}
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(brokerWait))
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("use embedded JetStream: %w", err)
	}
	return conn, js, nil
}

// errCutOff reports a server that a connection to is closed.
var errCutOff = errors.New("connection to the embedded server is closed")

// health returns why the broker no longer does all of its work, or nil.
func (b *broker) health() error {
	if b.conn.IsClosed() {
		return errCutOff
	}
	return b.healthOf("")
}

// healthOf returns why commits to a stream, any for "", no longer work, or nil.
// The server does not answer a publisher whose message hit a disk error; here
// it says so.
func (b *broker) healthOf(stream string) error {
	if b.commitConn.IsClosed() {
		return errCutOff
	}
	of := server.HealthzOptions{Stream: stream}
	if stream != "" {
		of.Account = server.DEFAULT_GLOBAL_ACCOUNT
	}
	if h := b.srv.Healthz(&of); h.Error != "" {
		return errors.New(h.Error)
	}
	return nil
}

// logState returns what the event log holds: LastSeq is the newest number that it
// has given out.
func (b *broker) logState(ctx context.Context) (jetstream.StreamState, error) {
	info, err := b.events.Info(ctx)
	if err != nil {
		return jetstream.StreamState{}, fmt.Errorf("ask event log: %w", err)
	}
	return info.State, nil
}

// gone reports whether the broker has been closed.
func (b *broker) gone() bool { return b.life.Err() != nil }

// bound returns a ctx that also ends with the broker.
func (b *broker) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(b.life, cancel)
	return ctx, func() { stop(); cancel() }
}

// close stops the server; what it has acknowledged is on disk.
func (b *broker) close() {
	b.once.Do(func() {
		b.end()
		for _, c := range []*nats.Conn{b.commitConn, b.conn} {
			if c != nil {
				c.Close()
			}
		}
		b.srv.Shutdown()
		b.srv.WaitForShutdown()
	})
}

// A serverLog hands the embedded server's log on. The server repeats itself
// while a fault lasts, and the Stream logs each change of state once, so even
// its errors are warnings here.
type serverLog struct {
	log *slog.Logger

	mu    sync.Mutex
	cause string
}

func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Debugf(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Tracef(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *serverLog) Errorf(format string, v ...any)  { l.log.Warn(fmt.Sprintf(format, v...)) }

// Fatalf keeps the reason why the server would have ended the process.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cause = fmt.Sprintf(format, v...)
}

func (l *serverLog) fatal() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause
}

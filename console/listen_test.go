// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/publishing"
)

// A bench is a console on a unix socket and on TCP, over a real desk.
type bench struct {
	*Console
	t      testing.TB
	log    *syncBuffer
	base   string // of the TCP listener
	client *http.Client
	socket *http.Client // knows every host as the node
}

func openBench(t testing.TB, edit func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, log: &syncBuffer{}}
	b.client = &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	o := Options{
		Desk:   newDesk(t),
		Logger: slog.New(slog.NewTextHandler(b.log, nil)),
		Metrics: []func(io.Writer) error{
			func(w io.Writer) error { _, err := io.WriteString(w, "first 1\n"); return err },
			func(w io.Writer) error { _, err := io.WriteString(w, "second 2\n"); return err },
		},
		Events: threeEvents,
	}
	if edit != nil {
		edit(&o)
	}
	var err error
	if b.Console, err = New(o); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "admin.sock")
	unix, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 2)
	go func() { served <- b.ServeSocket(unix) }()
	go func() { served <- b.Serve(tcp) }()
	b.base = "http://" + tcp.Addr().String()
	b.socket = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log: %s", b.log)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		b.client.CloseIdleConnections()
		b.socket.CloseIdleConnections()
		if err := b.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		for range 2 {
			if err := <-served; err != nil {
				t.Errorf("serve: %v", err)
			}
		}
	})
	return b
}

// threeEvents are the events of every site but of one that is broken.
func threeEvents(ctx context.Context, q EventQuery, emit func([]byte) error) error {
	for i := range 3 {
		if err := emit(fmt.Appendf(nil, `{"id":"e%d"}`, i)); err != nil {
			return err
		}
	}
	if q.Site == "broken" {
		return errors.New("disk on fire")
	}
	if q.Follow {
		<-ctx.Done()
	}
	return nil
}

// A reply is an answer with its body.
type reply struct {
	*http.Response
	body string
}

// refused returns the code and field of an error's answer.
func (r reply) refused(t testing.TB) string {
	t.Helper()
	var answer struct {
		Error struct{ Code, Field, Message string }
	}
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil || answer.Error.Message == "" {
		t.Fatalf("answer %d %q is no error, or says nothing", r.StatusCode, r.body)
	}
	return strings.TrimSpace(answer.Error.Code + " " + answer.Error.Field)
}

// do asks over the socket.
func (b *bench) do(method, path, body string, headers ...string) reply {
	b.t.Helper()
	return b.send(b.socket, "http://node", method, path, body, headers)
}

// as asks over TCP with a token.
func (b *bench) as(secret, method, path, body string, headers ...string) reply {
	b.t.Helper()
	if secret != "" {
		headers = append(headers, "Authorization: Bearer "+secret)
	}
	return b.send(b.client, b.base, method, path, body, headers)
}

func (b *bench) send(client *http.Client, base, method, path, body string, headers []string) reply {
	b.t.Helper()
	req, err := http.NewRequest(method, base+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	res, err := client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return reply{res, string(text)}
}

// token makes a token and returns its secret.
func (b *bench) token(name string, role publishing.Role, sites ...string) string {
	b.t.Helper()
	secret, _, err := b.options.Desk.CreateToken(context.Background(), publishing.Operator(), publishing.Actor{Name: name, Role: role, Sites: sites}, time.Time{})
	if err != nil {
		b.t.Fatal(err)
	}
	return secret
}

// A syncBuffer is a buffer that a server may write while a test reads.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

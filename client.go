// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nearside/nearside/console"
)

// An apiRequest is one request of the admin API.
type apiRequest struct {
	method, path string
	header       http.Header
	body         []byte
	json         any // the body, unless it is nil
}

// An apiError is a refusal of the admin API.
type apiError struct {
	Code    string `json:"code"`
	Field   string `json:"field"`
	Message string `json:"message"`
}

func (e *apiError) Error() string {
	if e.Field != "" {
		return fmt.Sprintf("%s (%s): %s", e.Code, e.Field, e.Message)
	}
	return e.Code + ": " + e.Message
}

// An apiClient speaks the admin API, to a node or to what stands in for one.
type apiClient struct {
	http  http.Client
	base  string // of the addresses, without a path
	token string // "" for the operator's socket
	files string // the data directory, where no node runs on it
	close func() error
}

// openClient returns a client of the node at cfg.URL, of the one that runs on
// cfg.Data, or of that directory's files when none does.
func openClient(cfg *Config, io stdio) (*apiClient, error) {
	if cfg.URL != "" {
		return &apiClient{base: strings.TrimSuffix(cfg.URL, "/"), token: cfg.Token, http: http.Client{Timeout: time.Minute}}, nil
	}
	if node := dialAdmin(cfg.Data); node != nil {
		return node, nil
	}
	// Opening would make a directory, and say that nothing is in it.
	if !exists(filepath.Join(cfg.Data, "jetstream")) {
		return nil, fmt.Errorf("no node is running on %s, and there is no data directory at %[1]s", cfg.Data)
	}
	return openFiles(*cfg, io)
}

// dialAdmin returns a client of the node that runs on a data directory, or nil
// when none does.
func dialAdmin(data string) *apiClient {
	path := filepath.Join(data, adminSocket)
	// Where no node is, this fails at once; a busy one may take its time.
	conn, err := net.DialTimeout("unix", path, 10*time.Second)
	if err != nil {
		return nil
	}
	conn.Close()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &apiClient{base: "http://node", http: http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// openFiles serves the admin API over a data directory's files to this process
// alone, so that a command does the same whether a node runs or not.
func openFiles(cfg Config, io stdio) (*apiClient, error) {
	work, err := openWorkshop(cfg, io.logger(), nil)
	if err != nil {
		return nil, errors.Join(err, work.close())
	}
	face, err := work.console()
	if err != nil {
		return nil, errors.Join(err, work.close())
	}
	inside := newPipeListener()
	served := make(chan error, 1)
	go func() { served <- face.ServeSocket(inside) }()
	client := &apiClient{files: cfg.Data, base: "http://node", http: http.Client{Transport: &http.Transport{DialContext: inside.dial}}}
	client.close = func() error {
		client.http.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
		defer cancel()
		return errors.Join(face.Shutdown(ctx), <-served, work.close())
	}
	return client, nil
}

// wrote tells after a change that no node was there to take it.
func (c *apiClient) wrote(io stdio) {
	if c.files != "" {
		fmt.Fprintf(io.err, "no node is running on %s; written to its files\n", c.files)
	}
}

// Close ends the client and what it opened.
func (c *apiClient) Close() error {
	if c.close == nil {
		return nil
	}
	return c.close()
}

// do sends one request and returns its answer when that is a success.
func (c *apiClient) do(ctx context.Context, r apiRequest) (*http.Response, error) {
	body := r.body
	if r.json != nil {
		var err error
		if body, err = json.Marshal(r.json); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if r.header != nil {
		req.Header = r.header
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the node: %w", err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	var answer struct{ Error apiError }
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil || json.Unmarshal(text, &answer) != nil || answer.Error.Code == "" {
		return nil, fmt.Errorf("the node answers %s", res.Status)
	}
	return nil, &answer.Error
}

// call sends one request and decodes its answer, unless answer is nil.
func (c *apiClient) call(ctx context.Context, r apiRequest, answer any) error {
	res, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
		return fmt.Errorf("the node's answer: %w", err)
	}
	return nil
}

// putRelease publishes a release document; follows is the live number, 0 for
// none.
func (c *apiClient) putRelease(ctx context.Context, site string, follows uint64, document []byte) error {
	header := http.Header{"If-Match": {strconv.FormatUint(follows, 10)}}
	return c.call(ctx, apiRequest{method: http.MethodPut, path: "/v1/releases/" + url.PathEscape(site), header: header, body: document}, nil)
}

// events copies stored events to w as JSON lines, for as long as they come.
func (c *apiClient) events(ctx context.Context, q console.EventQuery, w io.Writer) error {
	query := url.Values{"site": {q.Site}, "follow": {strconv.FormatBool(q.Follow)}}
	for name, id := range map[string]string{"visitor": q.Visitor, "profile": q.Profile} {
		if id != "" {
			query.Set(name, id)
		}
	}
	if !q.Since.IsZero() {
		query.Set("since", q.Since.Format(time.RFC3339Nano))
	}
	c.http.Timeout = 0
	res, err := c.do(ctx, apiRequest{method: http.MethodGet, path: "/v1/events?" + query.Encode()})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	for lines := bufio.NewReader(res.Body); ; {
		line, err := lines.ReadBytes('\n')
		if len(line) > 1 { // an empty line only says that the stream is alive
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// A pipeListener is a listener inside the process, which nobody else reaches.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It is called once.
func (l *pipeListener) Close() error { close(l.closed); return nil }

// Addr implements net.Listener.
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "inside", Net: "pipe"} }

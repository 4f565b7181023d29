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
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nearside/nearside/console"
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/stream"
)

// adminSocket is the admin listener's name in the data directory. Who can open
// it may do everything: it is 0600 in a directory of 0700.
const adminSocket = "admin.sock"

// listenAdmin listens on the admin socket. A socket that a dead process left
// behind is replaced; one that answers belongs to a running node.
func listenAdmin(data string) (net.Listener, error) {
	path := filepath.Join(data, adminSocket)
	if dialAdmin(data) != nil {
		return nil, fmt.Errorf("listen: a node is running on %s", data)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return nil, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}

// admin is what answers on the admin socket.
func (n *node) admin() (*console.Console, error) {
	return console.New(console.Options{
		Desk:    n.desk,
		Logger:  n.log,
		Metrics: []func(io.Writer) error{n.server.WritePrometheus, n.metrics},
		Events: func(ctx context.Context, q console.EventQuery, emit func([]byte) error) error {
			return n.events.Events(ctx, stream.Query{Site: q.Site, Since: q.Since, Follow: q.Follow}, func(r stream.LogEvent) error {
				return emit(r.JSON)
			})
		},
	})
}

// openDesk makes the desk over what the node has open.
func (n *node) openDesk() {
	store := deskStore{n.events}
	n.desk = publishing.New(publishing.Options{
		Modules: store, Notes: store, Audits: store, Releases: store, Loader: n.rules, Builtin: n.builtin, Checker: unchecked{},
	})
}

// builtin are the modules that come with the node. A source that cannot be read
// leaves its modules out.
func (n *node) builtin() []edge.ModuleRef {
	listed, err := n.modules.List()
	if err != nil {
		n.log.Error("list modules", "error", err)
	}
	var refs []edge.ModuleRef
	for _, m := range listed {
		refs = append(refs, edge.ModuleRef{Name: m.Manifest.Name, Version: m.Manifest.Version, Hash: m.Hash})
	}
	return refs
}

// unchecked refuses every module that nobody has read.
type unchecked struct{}

var errUnchecked = errors.New("this node cannot look at modules")

// Check implements publishing.Checker.
func (unchecked) Check(context.Context, []byte) (*edge.ModuleReport, error) { return nil, errUnchecked }

// Test implements publishing.Checker.
func (unchecked) Test(context.Context, []byte, []edge.ModuleCase) (*edge.ModuleTestReport, error) {
	return nil, errUnchecked
}

// Verify implements publishing.Checker.
func (unchecked) Verify(string, edge.ModuleRef) error { return nil }

// An adminClient speaks to a running node over its admin socket.
type adminClient struct{ http http.Client }

// dialAdmin returns a client of the node that runs on a data directory, or nil
// when none does.
func dialAdmin(data string) *adminClient {
	path := filepath.Join(data, adminSocket)
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return nil
	}
	conn.Close()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &adminClient{http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// do sends one request and returns its answer when that is a success.
func (c *adminClient) do(ctx context.Context, method, path string, header http.Header, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://node"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = header
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the running node: %w", err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	var answer struct {
		Error struct{ Code, Message string }
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil || json.Unmarshal(text, &answer) != nil {
		return nil, fmt.Errorf("the running node answers %s", res.Status)
	}
	return nil, fmt.Errorf("%s: %s", answer.Error.Code, answer.Error.Message)
}

// putRelease publishes a release document; expect is the live number, 0 for
// none.
func (c *adminClient) putRelease(ctx context.Context, site string, expect uint64, document []byte) error {
	header := http.Header{"If-Match": {strconv.FormatUint(expect, 10)}}
	res, err := c.do(ctx, http.MethodPut, "/v1/releases/"+url.PathEscape(site), header, document)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// events copies stored events to w as JSON lines.
func (c *adminClient) events(ctx context.Context, q stream.Query, w io.Writer) error {
	query := url.Values{"site": {q.Site}, "follow": {strconv.FormatBool(q.Follow)}}
	if !q.Since.IsZero() {
		query.Set("since", q.Since.Format(time.RFC3339Nano))
	}
	res, err := c.do(ctx, http.MethodGet, "/v1/events?"+query.Encode(), http.Header{}, nil)
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

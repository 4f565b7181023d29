// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/growthbook/growthbook-golang"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/runtime"
	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/bench/traffic"
)

// peers are the servers in Go that this program is when it is called by their
// name, with the file that they are configured by.
var peers = map[string]func(file string) error{
	"serve-raw":        serveRaw,
	"serve-growthbook": serveGrowthBook,
	"serve-opa":        serveOPA,
	"serve-opa-server": serveOPAServer,
}

// startPeer starts this program as a peer, configured by a file with content.
func startPeer(dir, name string, content []byte) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, content, 0o644); err != nil {
		return nil, err
	}
	return start(name, netip.AddrPort{}, "env", "GOMAXPROCS="+goProcs, self, name, file)
}

// announce listens on a free port and says so.
func announce() (net.Listener, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err == nil {
		fmt.Printf("on http://%s\n", l.Addr())
	}
	return l, err
}

// serveRaw is the baseline: fasthttp reads the request and answers 204.
func serveRaw(string) error {
	l, err := announce()
	if err != nil {
		return err
	}
	s := &fasthttp.Server{
		Handler:               func(ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(fasthttp.StatusNoContent) },
		NoDefaultServerHeader: true, NoDefaultContentType: true,
	}
	return s.Serve(l)
}

// A decider answers a context with variants by slot.
type decider func(ctx context.Context, input map[string]any) (map[string]any, error)

// A peerConfig is the file of a decision service.
type peerConfig struct {
	// Rules are in the peer's own language.
	Rules string
	// Countries is a GeoIP2 file.
	Countries string
	// Contents are what variants show.
	Contents map[string]json.RawMessage
}

func readPeerConfig(file string) (*peerConfig, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c := &peerConfig{}
	return c, json.Unmarshal(raw, c)
}

// serveHTTP is a decision service as one writes it with the standard library. It
// answers contexts at /decide and beacons at /v1/beacon.
func (c *peerConfig) serveHTTP(decide decider) error {
	reader, err := newUsualReader(c.Countries)
	if err != nil {
		return err
	}
	l, err := announce()
	if err != nil {
		return err
	}
	handler := http.NewServeMux()
	handler.HandleFunc("POST /decide", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Input map[string]any `json:"input"`
		}
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in); err != nil {
			http.Error(w, "no context", http.StatusBadRequest)
			return
		}
		out, err := decide(r.Context(), in.Input)
		if err != nil {
			http.Error(w, "no answer", http.StatusInternalServerError)
			return
		}
		body, err := json.Marshal(out)
		answer(w, body, err)
	})
	handler.HandleFunc("POST "+beaconPath, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		in, slots, err := reader.read(r)
		if err != nil {
			http.Error(w, "no beacon", http.StatusBadRequest)
			return
		}
		out, err := decide(r.Context(), in)
		if err != nil {
			http.Error(w, "no answer", http.StatusInternalServerError)
			return
		}
		body, err := usualAnswer(slots, out, c.Contents)
		w.Header().Set("Access-Control-Allow-Origin", traffic.Origin)
		w.Header().Set("Vary", "Origin")
		answer(w, body, err)
	})
	return (&http.Server{Handler: handler}).Serve(l)
}

func answer(w http.ResponseWriter, body []byte, err error) {
	if err != nil {
		http.Error(w, "no answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client is gone if it fails
}

// serveGrowthBook decides with GrowthBook's SDK: one feature a slot.
func serveGrowthBook(file string) error {
	config, err := readPeerConfig(file)
	if err != nil {
		return err
	}
	client, err := growthbook.NewClient(context.Background(), growthbook.WithJsonFeatures(config.Rules))
	if err != nil {
		return err
	}
	return config.serveHTTP(func(ctx context.Context, input map[string]any) (map[string]any, error) {
		input["id"] = input["visitor"]
		visitor, err := client.WithAttributes(growthbook.Attributes(input))
		if err != nil {
			return nil, err
		}
		out := make(map[string]any, len(traffic.Slots))
		for _, slot := range traffic.Slots {
			out[slot] = visitor.EvalFeature(ctx, slot).Value
		}
		return out, nil
	})
}

// serveOPAServer is OPA's own server with its settings as they come, as it stands
// beside a service that asks it: it answers contexts.
func serveOPAServer(file string) error {
	config, err := readPeerConfig(file)
	if err != nil {
		return err
	}
	rules := file + ".rego"
	if err := os.WriteFile(rules, []byte(config.Rules), 0o644); err != nil {
		return err
	}
	params := runtime.NewParams()
	params.Addrs, params.Paths = &[]string{"127.0.0.1:0"}, []string{rules}
	params.Logging = runtime.LoggingConfig{Level: "error"} // a line a request otherwise
	ctx := context.Background()
	opa, err := runtime.NewRuntime(ctx, params)
	if err != nil {
		return err
	}
	go func() {
		for len(opa.Addrs()) == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		fmt.Printf("on http://%s\n", opa.Addrs()[0])
	}()
	return opa.Serve(ctx)
}

// serveOPA decides with OPA in process: one query, prepared and partially
// evaluated, which is faster than OPA's own server.
func serveOPA(file string) error {
	config, err := readPeerConfig(file)
	if err != nil {
		return err
	}
	query, err := rego.New(rego.Query("data.near"), rego.Module("near.rego", config.Rules)).PrepareForEval(context.Background(), rego.WithPartialEval())
	if err != nil {
		return err
	}
	return config.serveHTTP(func(ctx context.Context, input map[string]any) (map[string]any, error) {
		results, err := query.Eval(ctx, rego.EvalInput(input))
		if err != nil {
			return nil, err
		}
		if len(results) != 1 || len(results[0].Expressions) != 1 {
			return nil, errors.New("no result")
		}
		out, ok := results[0].Expressions[0].Value.(map[string]any)
		if !ok {
			return nil, errors.New("the result is no object")
		}
		return out, nil
	})
}

// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A webKit is driven by WebDriver (https://www.w3.org/TR/webdriver2/), one driver
// process and one browser for each tab. WebDriver has no scripts that run before
// a page's own, and no word of the console: a proxy puts both into the pages.
type webKit struct {
	display        *exec.Cmd
	driver, binary string
	env            []string
}

// startWebKit starts a display without a screen for the browsers.
func startWebKit() (browser, error) {
	driver, err := exec.LookPath("WebKitWebDriver")
	if err != nil {
		return nil, errors.New("no WebKit on this machine: apt-get install webkit2gtk-driver xvfb")
	}
	browsers, err := filepath.Glob("/usr/lib/*/webkit2gtk-4*/MiniBrowser")
	if err != nil || len(browsers) == 0 {
		return nil, errors.New("WebKit's MiniBrowser is not on this machine")
	}
	numbers, number, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	w := &webKit{driver: driver, binary: browsers[0]}
	w.display = exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "1400x1200x24")
	w.display.ExtraFiles = []*os.File{number}
	if err := w.display.Start(); err != nil {
		return nil, err
	}
	_ = number.Close()
	text := make([]byte, 16)
	n, err := numbers.Read(text)
	if err != nil {
		return nil, fmt.Errorf("the display's number: %w", err)
	}
	w.env = append(os.Environ(), "DISPLAY=:"+strings.TrimSpace(string(text[:n])), "WEBKIT_DISABLE_COMPOSITING_MODE=1",
		"WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS=1", "LIBGL_ALWAYS_SOFTWARE=1")
	return w, nil
}

func (w *webKit) close() {
	_ = w.display.Process.Kill()
	_ = w.display.Wait()
}

// tellProxy has a page tell the proxy what it says and how it fails.
const tellProxy = `(() => {
	const open = XMLHttpRequest.prototype.open, send = XMLHttpRequest.prototype.send;
	const tell = (how, what) => { const r = new XMLHttpRequest(); open.call(r, "POST", "/proxy/" + how); send.call(r, what) };
	for (const level of ["debug", "log", "info", "warn", "error"]) console[level] = (...words) => tell("said", level + ": " + words.join(" "));
	addEventListener("error", e => e.isTrusted && tell("failed", e.message));
})();`

// newInjector returns a proxy that puts scripts in front of each document.
func newInjector(scripts []string, events listener) *httptest.Server {
	first := "<script nonce=n0>" + tellProxy + strings.Join(scripts, "\n") + "</script>"
	forward := &httputil.ReverseProxy{
		Rewrite: func(*httputil.ProxyRequest) {},
		ModifyResponse: func(r *http.Response) error {
			if !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
				return nil
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			const doctype = "<!doctype html>"
			body = append([]byte(doctype+first), bytes.TrimPrefix(body, []byte(doctype))...)
			r.Body = io.NopCloser(bytes.NewReader(body))
			r.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		how, ok := strings.CutPrefix(r.URL.Path, "/proxy/")
		if !ok {
			forward.ServeHTTP(w, r)
			return
		}
		what, _ := io.ReadAll(r.Body)
		if how == "failed" {
			events.failed(string(what))
		} else {
			events.said(string(what))
		}
	}))
}

func (w *webKit) openTab(before []string, events listener) (driver, error) {
	t := &webKitTab{proxy: newInjector(before, events)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	t.command = exec.Command(w.driver, "--port="+strconv.Itoa(port))
	t.command.Env = w.env
	if err := t.command.Start(); err != nil {
		return nil, err
	}
	t.url = fmt.Sprintf("http://127.0.0.1:%d/session", port)
	var session struct{ SessionID string }
	for deadline := time.Now().Add(stepTime); ; time.Sleep(50 * time.Millisecond) {
		err = t.call("", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
			"proxy":                    map[string]any{"proxyType": "manual", "httpProxy": t.proxy.Listener.Addr().String()},
			"webkitgtk:browserOptions": map[string]any{"binary": w.binary, "args": []string{"--automation"}},
		}}}, &session)
		var refused *net.OpError
		if !errors.As(err, &refused) || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		t.close()
		return nil, err
	}
	t.url += "/" + session.SessionID
	return t, t.resize(1000, 800)
}

type webKitTab struct {
	proxy   *httptest.Server
	command *exec.Cmd
	url     string
}

func (t *webKitTab) close() {
	request, err := http.NewRequest(http.MethodDelete, t.url, nil)
	if err == nil {
		if response, err := (&http.Client{Timeout: stepTime}).Do(request); err == nil {
			_ = response.Body.Close()
		}
	}
	_ = t.command.Process.Kill()
	_ = t.command.Wait()
	t.proxy.CloseClientConnections()
	t.proxy.Close()
}

// call sends a command and reads its value.
func (t *webKitTab) call(path string, params map[string]any, value any) error {
	body, err := json.Marshal(params)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Timeout: stepTime}).Post(t.url+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, answer.Value)
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(answer.Value, value)
}

// resize makes the page as large as that, without what is around it.
func (t *webKitTab) resize(width, height int) error {
	for range 2 {
		text, err := t.eval("[outerWidth - innerWidth, outerHeight - innerHeight]")
		if err != nil {
			return err
		}
		var around [2]int
		if err := json.Unmarshal(text, &around); err != nil {
			return err
		}
		rect := map[string]any{"width": width + around[0], "height": height + around[1]}
		if err := t.call("/window/rect", rect, nil); err != nil {
			return err
		}
	}
	return nil
}

func (t *webKitTab) open(url string) error { return t.call("/url", map[string]any{"url": url}, nil) }

func (t *webKitTab) run(script string) error {
	return t.call("/execute/sync", map[string]any{"script": script, "args": []any{}}, nil)
}

func (t *webKitTab) eval(expression string) ([]byte, error) {
	var settled struct{ Value, Failure string }
	err := t.call("/execute/async", map[string]any{"args": []any{}, "script": `const settle = arguments[0];
		(async () => JSON.stringify(await (` + expression + `)))().then(value => settle({value: value ?? "null"}), failure => settle({failure: "" + failure}))`}, &settled)
	if err == nil && settled.Failure != "" {
		err = errors.New(settled.Failure)
	}
	return []byte(settled.Value), err
}

func (t *webKitTab) act(device string, actions []map[string]any) error {
	return t.call("/actions", map[string]any{"actions": []map[string]any{{"type": device, "id": device, "actions": actions}}}, nil)
}

func (t *webKitTab) clickAt(x, y float64) error { return t.act("pointer", pointerClick(x, y)) }
func (t *webKitTab) typeText(text string) error { return t.act("key", keyStrokes(text)) }

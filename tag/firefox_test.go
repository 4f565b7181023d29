// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/websocket"
)

// A firefox is driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/),
// which it speaks by itself.
type firefox struct {
	command *exec.Cmd
	dir     string
	socket  *websocket.Conn

	opening sync.Mutex
	mu      sync.Mutex
	last    int
	waiting map[int]chan biDiMessage
	tabs    map[string]listener // by context
}

// A biDiMessage is what the browser sends: an answer or an event.
type biDiMessage struct {
	ID      int             `json:"id"`
	Type    string          `json:"type"`
	Method  string          `json:"method"`
	Result  json.RawMessage `json:"result"`
	Params  json.RawMessage `json:"params"`
	Error   string          `json:"error"`
	Message string          `json:"message"`
}

// firefoxPreferences keep it from asking for anything but the tests' pages, and
// let a page that was left be restored.
const firefoxPreferences = `user_pref("remote.active-protocols", 1);
user_pref("app.update.enabled", false);
user_pref("browser.safebrowsing.downloads.remote.enabled", false);
user_pref("browser.safebrowsing.malware.enabled", false);
user_pref("browser.safebrowsing.phishing.enabled", false);
user_pref("captivedetect.canonicalURL", "");
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("dom.push.connection.enabled", false);
user_pref("services.settings.server", "data:,");
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("fission.bfcacheInParent", true);
`

// startFirefox starts a headless Firefox with a profile of its own.
func startFirefox() (browser, error) {
	path, err := exec.LookPath("firefox-esr")
	if err != nil {
		if path, err = exec.LookPath("firefox"); err != nil {
			return nil, errors.New("no Firefox on this machine: make test installs it")
		}
	}
	f := &firefox{waiting: map[int]chan biDiMessage{}, tabs: map[string]listener{}}
	if f.dir, err = os.MkdirTemp("", "near-tag-"); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(f.dir, "user.js"), []byte(firefoxPreferences), 0o600); err != nil {
		return nil, err
	}
	const origin = "http://127.0.0.1"
	f.command = exec.Command(path, "--headless", "--no-remote", "--profile", f.dir, "--remote-debugging-port", "0", "--remote-allow-origins", origin)
	said, err := f.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := f.command.Start(); err != nil {
		return nil, err
	}
	address, err := readAddress(said)
	if err == nil {
		f.socket, err = websocket.Dial(address+"/session", "", origin)
	}
	if err != nil {
		f.close()
		return nil, err
	}
	go f.listen()
	if _, err := f.call("session.new", map[string]any{"capabilities": map[string]any{}}); err != nil {
		f.close()
		return nil, err
	}
	_, err = f.call("session.subscribe", map[string]any{"events": []string{"log.entryAdded"}})
	return f, err
}

// readAddress returns where the browser says that it listens, and goes on reading
// what it says so that it never waits for a reader.
func readAddress(said io.Reader) (string, error) {
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if _, address, ok := strings.Cut(lines.Text(), "WebDriver BiDi listening on "); ok {
			go func() { _, _ = io.Copy(io.Discard, said) }()
			return address, nil
		}
	}
	return "", errors.New("it ended without a word on where it listens")
}

func (f *firefox) close() {
	if f.socket != nil {
		_, _ = f.call("browser.close", map[string]any{})
		_ = f.socket.Close()
	}
	_ = f.command.Process.Kill()
	_ = f.command.Wait()
	_ = os.RemoveAll(f.dir)
}

// listen gives answers to who waits for them, and events to tabs.
func (f *firefox) listen() {
	for {
		var m biDiMessage
		if err := websocket.JSON.Receive(f.socket, &m); err != nil {
			return
		}
		f.mu.Lock()
		if m.Type == "event" {
			f.hear(m.Params)
		} else if answer := f.waiting[m.ID]; answer != nil {
			delete(f.waiting, m.ID)
			answer <- m
		}
		f.mu.Unlock()
	}
}

// hear gives a log entry to its tab.
func (f *firefox) hear(params json.RawMessage) {
	var entry struct {
		Type, Level, Method, Text string
		Source                    struct{ Context string }
	}
	if json.Unmarshal(params, &entry) != nil {
		return
	}
	events := f.tabs[entry.Source.Context]
	switch {
	case events == nil:
	case entry.Type == "console":
		events.said(entry.Method + ": " + entry.Text)
	case entry.Type == "javascript" && entry.Level == "error":
		events.failed(entry.Text)
	}
}

// call sends a command and waits for its result.
func (f *firefox) call(method string, params map[string]any) (json.RawMessage, error) {
	answer := make(chan biDiMessage, 1)
	f.mu.Lock()
	f.last++
	id := f.last
	f.waiting[id] = answer
	err := websocket.JSON.Send(f.socket, map[string]any{"id": id, "method": method, "params": params})
	f.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	select {
	case m := <-answer:
		if m.Error != "" {
			return nil, fmt.Errorf("%s: %s: %s", method, m.Error, m.Message)
		}
		return m.Result, nil
	case <-time.After(stepTime):
		return nil, fmt.Errorf("%s: no answer in %v", method, stepTime)
	}
}

// member calls and returns a text of the result.
func (f *firefox) member(method string, params map[string]any, name string) (string, error) {
	result, err := f.call(method, params)
	if err != nil {
		return "", err
	}
	var members map[string]any
	if err := json.Unmarshal(result, &members); err != nil {
		return "", err
	}
	return fmt.Sprint(members[name]), nil
}

func (f *firefox) openTab(before []string, events listener) (driver, error) {
	user, err := f.member("browser.createUserContext", map[string]any{}, "userContext")
	if err != nil {
		return nil, err
	}
	t := &firefoxTab{firefox: f, user: user}
	// A tab that is not in front of its window would be hidden. Windows that open at
	// once are sometimes lost.
	f.opening.Lock()
	t.context, err = f.member("browsingContext.create", map[string]any{"type": "window", "userContext": user}, "context")
	f.opening.Unlock()
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.tabs[t.context] = events
	f.mu.Unlock()
	for _, script := range before {
		if _, err := f.call("script.addPreloadScript", map[string]any{
			"functionDeclaration": "() => {" + script + "\n}", "contexts": []string{t.context},
		}); err != nil {
			return nil, err
		}
	}
	_, err = f.call("browsingContext.setViewport", map[string]any{
		"context": t.context, "viewport": map[string]int{"width": 1000, "height": 800},
	})
	return t, err
}

type firefoxTab struct {
	*firefox
	user, context string
}

func (t *firefoxTab) close() {
	t.mu.Lock()
	delete(t.tabs, t.context)
	t.mu.Unlock()
	_, _ = t.call("browser.removeUserContext", map[string]any{"userContext": t.user})
}

func (t *firefoxTab) open(url string) error {
	_, err := t.call("browsingContext.navigate", map[string]any{"context": t.context, "url": url, "wait": "complete"})
	return err
}

// evaluate runs a script in the page and returns a text, if that is its value.
func (t *firefoxTab) evaluate(script string) (string, error) {
	result, err := t.call("script.evaluate", map[string]any{
		"expression": script, "target": map[string]any{"context": t.context}, "awaitPromise": true,
	})
	if err != nil {
		return "", err
	}
	var evaluated struct {
		Type             string
		Result           struct{ Value any }
		ExceptionDetails struct{ Text string }
	}
	if err := json.Unmarshal(result, &evaluated); err != nil {
		return "", err
	}
	if evaluated.Type == "exception" {
		return "", errors.New(evaluated.ExceptionDetails.Text)
	}
	text, _ := evaluated.Result.Value.(string)
	return text, nil
}

func (t *firefoxTab) run(script string) error {
	_, err := t.evaluate(script + "\n;undefined")
	return err
}

func (t *firefoxTab) eval(expression string) ([]byte, error) {
	text, err := t.evaluate("(async () => JSON.stringify(await (" + expression + ")))()")
	return []byte(text), err
}

// act performs the actions of one input device.
func (t *firefoxTab) act(device string, actions []map[string]any) error {
	_, err := t.call("input.performActions", map[string]any{
		"context": t.context, "actions": []map[string]any{{"type": device, "id": device, "actions": actions}},
	})
	return err
}

func (t *firefoxTab) clickAt(x, y float64) error { return t.act("pointer", pointerClick(x, y)) }
func (t *firefoxTab) typeText(text string) error { return t.act("key", keyStrokes(text)) }

// pointerClick returns the actions of a click as WebDriver has them.
func pointerClick(x, y float64) []map[string]any {
	return []map[string]any{
		{"type": "pointerMove", "x": int(x), "y": int(y)}, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0},
	}
}

// keyStrokes returns the actions of typing a text as WebDriver has them.
func keyStrokes(text string) (actions []map[string]any) {
	for _, key := range text {
		actions = append(actions, map[string]any{"type": "keyDown", "value": string(key)}, map[string]any{"type": "keyUp", "value": string(key)})
	}
	return actions
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// examples are the programs of docs/SERVER.md by their names, as they stand there.
func examples(t testing.TB) map[string]string {
	t.Helper()
	text, err := os.ReadFile("docs/SERVER.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, m := range regexp.MustCompile("(?s)<!-- example: ([a-z.]+) -->\n```[a-z]+\n(.*?)\n```\n").FindAllSubmatch(text, -1) {
		found[string(m[1])] = string(m[2]) + "\n"
	}
	if len(found) != strings.Count(string(text), "<!-- example: ") {
		t.Fatalf("read %d examples of %d", len(found), strings.Count(string(text), "<!-- example: "))
	}
	return found
}

// newServedShop starts a node with a shop whose pages are of an origin and whose
// mails show what phones do, and makes a key for its servers.
func newServedShop(t testing.TB, origin string) (n *testNode, env []string) {
	t.Helper()
	n = startNode(t, testConfig())
	dir := t.TempDir()
	cli(t, "site", "files", "shop", dir, "--origin", origin)
	rewrite(t, dir, "slots/hero.yaml", `device.type == "phone"`, `device.type == "phone" || surface == "mail"`)
	cli(t, "apply", dir, "--data", n.data)
	key := n.serverKey(t, "shop")
	waitFor(t, "the release to be live", func() bool {
		status, _ := n.asServer(t, "/v1/decide", key, `{"v":1,"site":"shop"}`)
		return status == http.StatusOK
	})
	return n, append(os.Environ(), "NEARSIDE_URL="+n.base, "NEARSIDE_KEY="+key)
}

// example writes a program of the document and returns a command that runs it,
// or skips the test where what runs it is not on this machine.
func example(t testing.TB, name string, env ...string) *exec.Cmd {
	t.Helper()
	source, ok := examples(t)[name]
	if !ok {
		t.Fatalf("docs/SERVER.md has no example %s", name)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	var cmd *exec.Cmd
	switch filepath.Ext(name) {
	case ".go":
		built := filepath.Join(dir, "page")
		build := exec.Command("go", "build", "-o", built, path)
		build.Dir = dir
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
		cmd = exec.Command(built)
	case ".mjs":
		need(t, "node")
		cmd = exec.Command("node", path)
	default:
		need(t, "curl")
		cmd = exec.Command("sh", "-eu", path)
	}
	cmd.Env = env
	return cmd
}

func need(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("there is no %s here", program)
	}
}

// serve runs an example that serves until the test ends, and waits until it does.
func serve(t testing.TB, cmd *exec.Cmd, addr string) {
	t.Helper()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
		if t.Failed() {
			t.Logf("the example said:\n%s", said.String())
		}
	})
	waitFor(t, "the example to listen", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// freeAddr is an address of this machine that nobody listens on.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// fetch gets a page as a phone would.
func fetch(t testing.TB, url string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 19_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.2 Mobile/15E148 Safari/604.1")
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// What the document sends is taken as it stands there, but for its times.
func TestTheMessagesOfTheDocument(t *testing.T) {
	n, env := newServedShop(t, shopOrigin)
	key := strings.TrimPrefix(env[len(env)-1], "NEARSIDE_KEY=")
	text, err := os.ReadFile("docs/SERVER.md")
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	for _, m := range regexp.MustCompile("(?s)```json\n(.*?)\n```").FindAllStringSubmatch(string(text), -1) {
		message := strings.ReplaceAll(m[1], `"state":"…", `, "")
		message = regexp.MustCompile(`"at":\d+`).ReplaceAllString(message, fmt.Sprintf(`"at":%d`, time.Now().UnixMilli()))
		if !json.Valid([]byte(message)) {
			t.Errorf("not JSON: %s", message)
		}
		if !strings.Contains(message, `"site"`) {
			continue // an answer, or a part
		}
		path, want := "/v1/decide", `"decisions":[{`
		if strings.Contains(message, `"events"`) {
			path, want = "/v1/events", `"accepted":2,"rejected":[]`
		}
		if status, answer := n.asServer(t, path, key, message); status != 200 || !strings.Contains(answer, want) {
			t.Errorf("%s to %s: %d %s", message, path, status, answer)
		}
		sent++
	}
	if sent != 2 {
		t.Errorf("%d messages, want 2", sent)
	}
}

const allPurposes = "purposes=storage.measure.context.profile.personalise"

func TestTheExampleOfARenderedPage(t *testing.T) {
	addr := freeAddr(t)
	n, env := newServedShop(t, "http://"+addr)
	serve(t, example(t, "page.go", append(env, "ADDR="+addr)...), addr)

	// A visitor who has not answered gets the page's own content, and no cookie.
	res, body := fetch(t, "http://"+addr+"/hats")
	if !strings.Contains(body, "Hats for every head") || res.Header.Get("Set-Cookie") != "" {
		t.Errorf("without an answer: %s\n%q", body, res.Header["Set-Cookie"])
	}
	res, body = fetch(t, "http://"+addr+"/hats", "Cookie: "+allPurposes)
	cookie := res.Header.Get("Set-Cookie")
	if !strings.Contains(body, `<div id="hero"><p>Hello from the edge: a phone sees this text.</p></div>`) || !strings.HasPrefix(cookie, "__Host-near-shop=") {
		t.Fatalf("with an answer: %s\n%q", body, cookie)
	}
	value, _, _ := strings.Cut(cookie, ";")
	if res, body = fetch(t, "http://"+addr+"/hats", "Cookie: "+allPurposes+"; "+value); res.Header.Get("Set-Cookie") != "" || !strings.Contains(body, "Hello from the edge") {
		t.Errorf("the same visitor again: %s\n%q", body, res.Header["Set-Cookie"])
	}

	// In a browser the tag goes on with the visitor that the server met, and one
	// impression is one.
	b := newTab(t, 390, 800)
	_, err := chromedp.Call(b.ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{ // headless it would be a crawler
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
	})
	if err != nil {
		t.Fatal(err)
	}
	consent := network.SetCookieParams{Name: "purposes", Value: strings.TrimPrefix(allPurposes, "purposes="), URL: "http://" + addr + "/"}
	if _, err := chromedp.Call(b.ctx, network.SetCookie, consent); err != nil {
		t.Fatal(err)
	}
	b.open("http://" + addr + "/hats")
	if got := eval[string](b, `document.getElementById("hero").textContent`); got != "Hello from the edge: a desktop sees this text." {
		t.Errorf("the browser was sent %q", got)
	}
	names := func() (list []string, visitors map[string]bool) {
		visitors = map[string]bool{}
		for _, ev := range n.storedEvents(t, "shop") {
			list = append(list, ev["name"].(string))
			if v, ok := ev["visitor"].(map[string]any); ok {
				visitors[fmt.Sprint(v["id"])] = true
			}
		}
		slices.Sort(list)
		return list, visitors
	}
	waitFor(t, "the page view and the impression", func() bool {
		list, _ := names()
		return slices.Contains(list, "page_view") && slices.Contains(list, "slot_impression")
	})
	b.open("http://" + addr + "/hats?again")
	waitFor(t, "the second view", func() bool {
		list, _ := names()
		return slices.Equal(slices.DeleteFunc(list, func(name string) bool { return name == "user_engagement" }),
			[]string{"page_view", "page_view", "slot_impression", "slot_impression"})
	})
	time.Sleep(1500 * time.Millisecond) // what the tag sends later would be here
	list, visitors := names()
	impressions := 0
	for _, name := range list {
		if name == "slot_impression" {
			impressions++
		}
	}
	if impressions != 2 || len(visitors) != 1 {
		t.Errorf("two views of a slot are %d impressions of %d visitors", impressions, len(visitors))
	}
	cookies := strings.Join(b.cookies(), "\n")
	if !strings.Contains(cookies, "__Host-near-shop") || strings.Contains(cookies, "__Secure-near-shop") {
		t.Errorf("the browser holds %s", cookies)
	}

	// The node is gone: the page is as it was, within its deadline.
	n.stop()
	begun := time.Now()
	if _, body = fetch(t, "http://"+addr+"/hats", "Cookie: "+allPurposes); !strings.Contains(body, "Hats for every head") || time.Since(begun) > 2*time.Second {
		t.Errorf("without a node, after %v: %s", time.Since(begun), body)
	}
}

func TestTheExampleOfAnApp(t *testing.T) {
	n, env := newServedShop(t, shopOrigin)
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	serve(t, example(t, "app.mjs", append(env, "PORT="+port)...), addr)
	type shown struct {
		Slots map[string]struct {
			ID      string
			Content json.RawMessage
		}
		State *string
	}
	state := "" // on the device
	open := func(purposes []string, events ...map[string]any) (s shown) {
		t.Helper()
		body, _ := json.Marshal(map[string]any{"state": state, "purposes": purposes, "language": "en", "sent": 10_000, "events": events})
		res, err := http.Post("http://"+addr+"/home", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
			t.Fatal(err)
		}
		if s.State != nil {
			state = *s.State
		}
		return s
	}
	all := strings.Split(strings.TrimPrefix(allPurposes, "purposes="), ".")
	first := open(all)
	if first.State == nil || *first.State == "" || first.Slots["hero"].ID == "" || !strings.Contains(string(first.Slots["hero"].Content), "a phone sees this") {
		t.Fatalf("the app shows %+v", first)
	}
	second := open(all,
		map[string]any{"id": "d1.1", "name": "slot_impression", "at": 9_000, "props": map[string]any{"decision": first.Slots["hero"].ID}},
		map[string]any{"id": "d1.2", "name": "view_item", "at": 9_500, "props": map[string]any{"items": []map[string]any{{"item_id": "hat-1"}}}})
	if second.State == nil || *second.State == *first.State {
		t.Error("what happened in the app is not in its state")
	}
	events := n.storedEvents(t, "shop")
	if len(events) != 2 || events[0]["surface"] != "app" || events[0]["system"] != "ios" || fmt.Sprint(events[0]["visitor"]) != fmt.Sprint(events[1]["visitor"]) {
		t.Errorf("events %v", events)
	}
	if gone := open([]string{"measure"}); gone.State == nil || *gone.State != "" {
		t.Errorf("without storage the app keeps %+v", gone.State)
	}
	n.stop()
	if alone := open(all); alone.Slots == nil || len(alone.Slots) != 0 {
		t.Errorf("without a node the app shows %+v", alone)
	}
}

func TestTheExamplesOfMailAndTill(t *testing.T) {
	n, env := newServedShop(t, shopOrigin)
	run := func(name string, more ...string) string {
		t.Helper()
		out, err := example(t, name, append(slices.Clone(env), more...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		return string(out)
	}
	mail := func() (id string) {
		t.Helper()
		var a struct {
			Decisions []struct{ ID, HTML, Variant string }
			State     string
		}
		if err := json.Unmarshal([]byte(run("mail.sh")), &a); err != nil || len(a.Decisions) != 1 {
			t.Fatalf("%v: %+v", err, a)
		}
		if d := a.Decisions[0]; d.Variant != "phone" || d.HTML != "<p>Hello from the edge: a phone sees this text.</p>" || a.State == "" {
			t.Errorf("the mail shows %+v", a)
		}
		return a.Decisions[0].ID
	}
	decision := mail()
	for range 2 { // a script that is run again tells the same
		if got := run("click.sh", "DECISION="+decision); got != `{"v":1,"accepted":1,"rejected":[]}` {
			t.Errorf("the click: %s", got)
		}
		if got := run("till.sh", "RECEIPT=R-889"); got != `{"v":1,"accepted":1,"rejected":[]}` {
			t.Errorf("the till: %s", got)
		}
	}
	var names []string
	for line := range strings.Lines(cli(t, "events", "--data", n.data, "--site", "shop", "--profile", "crm-4711")) {
		var ev struct {
			Name, System string
			Decision     struct{ Variant string }
		}
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatal(err)
		}
		names = append(names, strings.TrimSpace(ev.Name+" "+ev.System+" "+ev.Decision.Variant))
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"purchase pos-7", "slot_click newsletter phone"}) {
		t.Errorf("the customer's events %q", names)
	}
}

func TestTheExampleOfAToken(t *testing.T) {
	n, secret, _ := newPeopleShop(t)
	token, err := example(t, "token.mjs", append(os.Environ(), "CUSTOMER=crm-4711", "NEARSIDE_IDENTITY="+base64.RawURLEncoding.EncodeToString(secret))...).Output()
	if err != nil {
		t.Fatal(err)
	}
	b := n.newBrowser(t, "a")
	b.send(quote(strings.TrimSpace(string(token))), viewed)
	if p := profileOf(t, n, "crm-4711"); b.refused != "" || len(p.Items) != 1 {
		t.Errorf("refused with %q, the profile is %+v", b.refused, p)
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/collector"
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/publishing"
)

// serverKey makes a key for the servers of a site.
func (n *testNode) serverKey(t testing.TB, site string) string {
	t.Helper()
	return strings.TrimSpace(cli(t, "token", "create", "till", "--role", "server", "--site", site, "--data", n.data))
}

// asServer posts a body as a site's server would, without anything of a browser.
func (n *testNode) asServer(t testing.TB, path, key, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, n.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// A key is for two addresses and its sites, from the moment that it is made to
// the moment that it is revoked.
func TestAServersKeyIsForItsSitesEventsAlone(t *testing.T) {
	n := newShop(t)
	key := n.serverKey(t, "shop")
	body := fmt.Sprintf(`{"v":1,"site":"shop","consent":{"granted":["measure"]},"events":[{"id":"a","name":"login","at":%d}]}`, time.Now().UnixMilli())
	if status, answer := n.asServer(t, "/v1/events", key, body); status != 200 || answer != `{"v":1,"accepted":1,"rejected":[]}` {
		t.Fatalf("a new key: %d %s", status, answer)
	}
	viewer := strings.TrimSpace(cli(t, "token", "create", "ada", "--role", "viewer", "--site", "*", "--data", n.data))
	admin := strings.TrimSpace(cli(t, "token", "create", "eve", "--role", "admin", "--site", "*", "--data", n.data))
	blog := n.serverKey(t, "blog")
	for name, tt := range map[string]struct {
		key    string
		status int
	}{"a viewer": {viewer, 401}, "an admin": {admin, 401}, "another site's server": {blog, 403}, "nobody": {"near_" + strings.Repeat("A", 43), 401}} {
		if status, answer := n.asServer(t, "/v1/events", tt.key, body); status != tt.status {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	list := cli(t, "token", "list", "--json", "--data", n.data)
	var tokens []publishing.Token
	if err := json.Unmarshal([]byte(list), &tokens); err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens {
		if slices.Equal(token.Actor.Sites, []string{"shop"}) && token.Actor.Role == publishing.Server {
			cli(t, "token", "revoke", token.ID, "--data", n.data)
		}
	}
	begun := time.Now()
	waitFor(t, "the key to end", func() bool {
		status, _ := n.asServer(t, "/v1/events", key, body)
		return status == 401
	})
	if took := time.Since(begun); took > keysStale+keysTime {
		t.Errorf("a revoked key was good for %v", took)
	}
}

// Whoever tries keys out makes the store be read now and then, not each time.
func TestKeysAreReadNowAndThen(t *testing.T) {
	w, err := openWorkshop(func() Config { c := testConfig(); c.Data = t.TempDir(); return c }(), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.close() }) // it was closed already, which is part of the test
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	keys := newServerKeys(w.desk, w.log)
	keys.now = func() time.Time { return now }
	create := func(name string) (secret string, token publishing.Token) {
		secret, token, err := w.desk.CreateToken(t.Context(), publishing.Operator(), publishing.Actor{Name: name, Role: publishing.Server, Sites: []string{"shop"}}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return secret, token
	}
	good, token := create("till")
	is := func(when, secret string, want error) {
		t.Helper()
		if _, err := keys.Key(secret); err != want {
			t.Errorf("%s: %v, want %v", when, err, want)
		}
	}
	is("at first", good, nil)
	first := keys.known.Load()
	for i := range 1000 {
		is("tried out", fmt.Sprintf("near_%043d", i), collector.ErrNoKey)
	}
	if keys.known.Load() != first {
		t.Error("a key that is wrong makes the store be read")
	}
	second, _ := create("desk")
	is("made a moment ago", second, nil)
	if err := w.desk.RevokeToken(t.Context(), publishing.Operator(), token.ID); err != nil {
		t.Fatal(err)
	}
	is("revoked a moment ago", good, collector.ErrNoKey)

	// Another node's desk has the same store.
	there := publishing.New(publishing.Options{Notes: w.events, Audits: w.events})
	third, token, err := there.CreateToken(t.Context(), publishing.Operator(), publishing.Actor{Name: "app", Role: publishing.Server, Sites: []string{"shop"}}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	is("made elsewhere a moment ago", third, collector.ErrNoKey)
	now = now.Add(keysAgain)
	is("made elsewhere a while ago", third, nil)
	if err := there.RevokeToken(t.Context(), publishing.Operator(), token.ID); err != nil {
		t.Fatal(err)
	}
	now = now.Add(keysAge)
	is("revoked elsewhere", third, collector.ErrNoKey)

	// While the store is away what was known counts, but not for ever.
	if err := w.events.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	now = now.Add(keysDead - time.Second)
	is("without a store", second, nil)
	is("unknown without a store", good, collector.ErrNoKey)
	now = now.Add(time.Second)
	is("without a store for long", second, errKeysUnread)
	if fresh := newServerKeys(w.desk, w.log); true {
		if _, err := fresh.Key(good); err != errKeysUnread {
			t.Errorf("never read: %v", err)
		}
	}
}

// A browser that two customers use, one after the other, does not make one person
// of them: neither sees what the other did as a customer.
func TestTwoCustomersOfOneBrowserStayTwo(t *testing.T) {
	n := newShop(t)
	key := n.serverKey(t, "shop")
	ask := func(path, customer, more string) (state string) {
		t.Helper()
		body := `{"v":1,"site":"shop","profile":"` + customer + `","consent":{"granted":["storage","measure","profile"]},` + more + `}`
		status, answer := n.asServer(t, path, key, body)
		var a struct {
			State    string
			Accepted int
		}
		if err := json.Unmarshal([]byte(answer), &a); status != 200 || err != nil || a.Accepted != 1 {
			t.Fatalf("%s of %s: answer %d %s", path, customer, status, answer)
		}
		return a.State
	}
	happened := func(id string) string {
		return fmt.Sprintf(`"events":[{"id":%q,"name":"x","at":%d}]`, id, time.Now().UnixMilli())
	}
	state := ask("/v1/decide", "crm-a", happened("page-a"))
	if state == "" {
		t.Fatal("no state")
	}
	ask("/v1/decide", "crm-b", `"state":"`+state+`",`+happened("page-b"))
	ask("/v1/events", "crm-a", happened("till-a"))
	ask("/v1/events", "crm-b", happened("till-b"))
	for customer, want := range map[string][]string{"crm-a": {"page-a", "till-a"}, "crm-b": {"page-b", "till-b"}} {
		var got []string
		for line := range strings.Lines(cli(t, "events", "--data", n.data, "--site", "shop", "--profile", customer)) {
			var ev struct{ ID string }
			if err := json.Unmarshal([]byte(line), &ev); err != nil {
				t.Fatal(err)
			}
			got = append(got, ev.ID)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s has the events %q, want %q", customer, got, want)
		}
	}
}

// Every kind of source has its way in, and one person's events from all of them
// stand in one row.
func TestOnePersonsEventsFromEverySource(t *testing.T) {
	n := newShop(t)
	key := n.serverKey(t, "shop")
	_, text := n.post(t, "/_near/v1/beacon", beaconOf(consent.All, "web"), nil)
	var page struct{ State string }
	if err := json.Unmarshal([]byte(text), &page); err != nil || page.State == "" {
		t.Fatalf("no state: %s", text)
	}
	now := time.Now()
	at := func(ago time.Duration) int64 { return now.Add(-ago).UnixMilli() }
	events := []map[string]any{
		{"id": "login-1", "name": "login", "at": at(time.Second), "surface": "web", "system": "shop", "state": page.State, "profile": "crm-7"},
		{"id": "app-1", "name": "view_item", "at": at(50 * time.Hour), "surface": "app", "system": "ios"},
		{"id": "order-1", "name": "purchase", "at": at(40 * time.Hour), "surface": "web", "system": "orders", "props": map[string]any{"transaction_id": "t-1", "value": 99.5, "currency": "EUR"}},
		{"id": "loyalty-1", "name": "loyalty", "at": at(30 * time.Hour), "surface": "service", "system": "loyalty", "props": map[string]any{"tier": "gold"}, "origins": map[string]any{"tier": "second"}},
		{"id": "ticket-1", "name": "complaint", "at": at(20 * time.Hour), "surface": "service", "system": "care", "origin": "zero"},
		{"id": "till-1", "name": "purchase", "at": at(10 * time.Hour), "surface": "service", "system": "pos", "props": map[string]any{"transaction_id": "p-1"}},
		{"id": "other-1", "name": "purchase", "at": at(time.Hour), "profile": "crm-8"},
		{"id": "unlinked-1", "name": "purchase", "at": at(time.Hour), "consent": map[string]any{"granted": []string{"measure", "storage"}}},
	}
	batch, err := json.Marshal(map[string]any{"v": 1, "site": "shop", "profile": "crm-7", "events": events,
		"consent": map[string]any{"granted": []string{"storage", "measure", "context", "profile"}}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // told again they are the same events
		if status, answer := n.asServer(t, "/v1/events", key, string(batch)); status != 200 || !strings.HasPrefix(answer, `{"v":1,"accepted":8,`) {
			t.Fatalf("answer %d %s", status, answer)
		}
	}
	// Another source tells the same transaction.
	again := fmt.Sprintf(`{"v":1,"site":"shop","profile":"crm-7","system":"erp","consent":{"granted":["measure"]},"events":[{"id":"erp-9","name":"purchase","at":%d,"props":{"transaction_id":"t-1"}}]}`, at(39*time.Hour))
	if status, answer := n.asServer(t, "/v1/events", key, again); status != 200 {
		t.Fatalf("answer %d %s", status, answer)
	}

	ids := func(args ...string) (list []string) {
		t.Helper()
		for line := range strings.Lines(cli(t, append([]string{"events", "--data", n.data, "--site", "shop"}, args...)...)) {
			var ev struct {
				ID      string
				Surface string
				System  string
			}
			if err := json.Unmarshal([]byte(line), &ev); err != nil {
				t.Fatal(err)
			}
			list = append(list, strings.TrimSuffix(ev.ID+" "+ev.Surface+" "+ev.System, " "))
		}
		return list
	}
	want := []string{
		"app-1 app ios", "order-1 web orders", "loyalty-1 service loyalty", "ticket-1 service care", "till-1 service pos",
		"login-1 web shop", "web.1 web", "web.2 web",
	}
	got := ids("--profile", "crm-7")
	// The page's own events came before the login was told, or a moment after.
	slices.SortStableFunc(got[min(5, len(got)):], strings.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("one customer's events\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	stored := n.storedEvents(t, "shop")
	visitor := ""
	for _, ev := range stored {
		if v, ok := ev["visitor"].(map[string]any); ok && ev["id"] == "web.1" {
			visitor, _ = v["id"].(string)
		}
		if ev["id"] == "loyalty-1" && (ev["origin"] != "first" || fmt.Sprint(ev["origins"]) != "map[tier:second]") {
			t.Errorf("loyalty's event %v", ev)
		}
		if ev["id"] == "ticket-1" && ev["origin"] != "zero" {
			t.Errorf("the complaint %v", ev)
		}
	}
	if len(stored) != 10 {
		t.Errorf("%d events stored, want 10", len(stored))
	}
	browser := ids("--visitor", visitor)
	slices.Sort(browser)
	if !slices.Equal(browser, []string{"login-1 web shop", "web.1 web", "web.2 web"}) {
		t.Errorf("one browser's events %q", browser)
	}
	if got := ids("--profile", "crm-8"); !slices.Equal(got, []string{"other-1 service"}) {
		t.Errorf("another customer's %q", got)
	}
	if got := ids("--profile", "nobody"); got != nil {
		t.Errorf("nobody's %q", got)
	}
	var out, errs bytes.Buffer
	if code := command(t.Context(), []string{"events", "--data", n.data, "--profile", "crm-7"}, stdio{out: &out, err: &errs}); code != exitUsage {
		t.Errorf("a person of no site: exit %d %s", code, errs.String())
	}
	if log := fmt.Sprint(stored); strings.Contains(log, "crm-") {
		t.Error("a customer's id is in the log")
	}
}

// A customer is forgotten by the id that the site knows, which the node alone can
// turn into what events have.
func TestACustomerIsForgottenByTheSitesOwnID(t *testing.T) {
	n := newShop(t)
	key := n.serverKey(t, "shop")
	batch := fmt.Sprintf(`{"v":1,"site":"shop","consent":{"granted":["storage","measure","profile"]},"events":[
		{"id":"seven","name":"purchase","at":%[1]d,"profile":"crm-7"},{"id":"eight","name":"purchase","at":%[1]d,"profile":"crm-8"}]}`, time.Now().UnixMilli())
	if status, answer := n.asServer(t, "/v1/events", key, batch); status != 200 || !strings.HasPrefix(answer, `{"v":1,"accepted":2,`) {
		t.Fatalf("answer %d %s", status, answer)
	}
	cli(t, "erasure", "request", "--site", "shop", "--profile", "crm-7", "--data", n.data)
	if left := cli(t, "events", "--site", "shop", "--data", n.data); strings.Contains(left, `"seven"`) || !strings.Contains(left, `"eight"`) {
		t.Errorf("left are %s", left)
	}
	if audit := n.adminGet(t, "/v1/sites/shop/audit"); strings.Contains(audit, "crm-7") || !strings.Contains(audit, `"act":"forget"`) {
		t.Errorf("the audit log tells %s", audit)
	}
	var out strings.Builder
	for _, args := range [][]string{{"--profile", "a", "--visitor", "b"}, {"--profile", strings.Repeat("a", edge.MaxProfileBytes+1)}, {}} {
		line := append([]string{"erasure", "request", "--site", "shop", "--data", n.data}, args...)
		if code := command(t.Context(), line, stdio{out: &out, err: &out}); code == exitOK {
			t.Errorf("%q is taken", args)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// peopleSite is a shop whose slots say what is known of a person.
const peopleSite = `site: shop
settings:
  origins: [https://shop.example]
  languages: [en]
  why: true
fields:
  - {name: shop.points, type: i64, purpose: personalise, origin: first, from: profile, event: loyalty, prop: points}
  - {name: shop.tier, type: string, purpose: personalise, origin: second, from: profile, event: loyalty, prop: tier, expireDays: 30}
  - {name: shop.style, type: string, purpose: personalise, origin: zero, from: answer, prop: style}
slots:
  - name: told
    kind: text
    ladder: {profile: [{name: all, when: 'shop.points >= 0 || shop.style != "" || shop.tier != ""', show: told}]}
  - name: bought
    kind: text
    ladder: {profile: [{name: had, when: 'bought("hat-1")', show: had}, {name: new, when: '!bought("hat-1")', show: new}]}
  - name: seen
    kind: text
    ladder: {profile: [{name: had, when: 'seen("sku-7")', show: had}, {name: new, when: '!seen("sku-7")', show: new}]}
  - name: cart
    kind: text
    ladder: {profile: [{name: full, when: 'intent == "cart"', show: full}]}
  - name: lot
    kind: text
    ladder:
      context:
        - {name: a, when: 'hash("t") < 1000', show: a}
        - {name: b, when: 'hash("t") >= 1000 && hash("t") < 3000', show: b}
        - {name: c, when: 'hash("t") >= 3000 && hash("t") < 6000', show: c}
        - {name: d, when: 'hash("t") >= 6000', show: d}
variants:
  told: [{name: told, state: live, content: {en: 'points {{shop.points | -}}, tier {{shop.tier | -}}, style {{shop.style | -}}'}}]
  bought: [{name: had, state: live, content: {en: h}}, {name: new, state: live, content: {en: n}}]
  seen: [{name: had, state: live, content: {en: h}}, {name: new, state: live, content: {en: n}}]
  cart: [{name: full, state: live, content: {en: c}}]
  lot: [{name: a, state: live, content: {en: a}}, {name: b, state: live, content: {en: b}}, {name: c, state: live, content: {en: c}}, {name: d, state: live, content: {en: d}}]
`

// newPeopleShop starts a node with that shop and returns it with the secret by which
// the shop says who has signed in, and a server's key.
func newPeopleShop(t testing.TB) (n *testNode, secret []byte, key string) {
	t.Helper()
	n = startNode(t, testConfig())
	n.apply(t, peopleSite)
	key = n.serverKey(t, "shop")
	waitFor(t, "the release to be live", func() bool {
		status, _ := n.asServer(t, "/v1/decide", key, `{"v":1,"site":"shop"}`)
		return status == http.StatusOK
	})
	secret, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(cli(t, "identity", "key", "--site", "shop", "--data", n.data)))
	if err != nil || len(secret) != 32 {
		t.Fatalf("the secret has %d bytes, %v", len(secret), err)
	}
	return n, secret, key
}

// apply publishes a site that is one file, with more settings of nearside apply.
func (n *testNode) apply(t testing.TB, site string, more ...string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "site.yaml"), []byte(site), 0o600); err != nil {
		t.Fatal(err)
	}
	cli(t, append([]string{"apply", dir, "--data", n.data}, more...)...)
}

// signIn returns a token that says who has signed in, with other claims on top.
func signIn(secret []byte, customer string, other map[string]any) string {
	claims := map[string]any{"aud": "shop", "iss": "shop", "sub": customer, "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix()}
	for name, value := range other {
		claims[name] = value
	}
	body, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(body)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}

// A visitorBrowser carries what a browser carries.
type visitorBrowser struct {
	t       testing.TB
	n       *testNode
	granted consent.Purposes
	state   string
	events  int
	name    string
	refused string // the code of the last answer's identify
}

func (n *testNode) newBrowser(t testing.TB, name string) *visitorBrowser {
	return &visitorBrowser{t: t, n: n, name: name, granted: consent.All}
}

// send sends a beacon with events and, if it is not empty, the member identify, and
// returns what the slots show.
func (b *visitorBrowser) send(identify string, events ...string) map[string]string {
	b.t.Helper()
	var list []string
	now := time.Now().UnixMilli()
	for _, e := range events {
		b.events++
		list = append(list, fmt.Sprintf(`{"id":"%s%d","at":%d,%s}`, b.name, b.events, now, e))
	}
	body := fmt.Sprintf(`{"v":1,"site":"shop","page":{"url":"https://shop.example/"},"sent":%d,"consent":{"purposes":255,"owner":{"granted":%d,"refused":%d}},"state":%q,"events":[%s],"slots":["told","bought","seen","cart","lot"]`,
		now, b.granted, consent.All&^b.granted, b.state, strings.Join(list, ","))
	if identify != "" {
		body += `,"identify":` + identify
	}
	res, text := b.n.post(b.t, "/_near/v1/beacon", body+"}", nil)
	var answer struct {
		State     *string
		Identify  struct{ Code string }
		Rejected  []struct{ Code string }
		Decisions []struct {
			Slot, Variant string
			Content       struct{ Text string }
		}
	}
	if err := json.Unmarshal([]byte(text), &answer); res.StatusCode != 200 || err != nil {
		b.t.Fatalf("%s: %d %s", b.name, res.StatusCode, text)
	}
	for _, r := range answer.Rejected {
		if r.Code != edge.RejectedUnavailable { // the log of a slow disk; the profile has learned of it
			b.t.Fatalf("%s: %s", b.name, text)
		}
	}
	if answer.State != nil {
		b.state = *answer.State
	}
	b.refused = answer.Identify.Code
	shown := map[string]string{}
	for _, d := range answer.Decisions {
		shown[d.Slot] = d.Variant
		if d.Slot == "told" {
			shown[d.Slot] = d.Content.Text
		}
	}
	return shown
}

// show is send without anything to tell.
func (b *visitorBrowser) show() map[string]string { b.t.Helper(); return b.send("") }

func quote(token string) string { return `"` + token + `"` }

// visitor returns the visitor id that the browser's events have.
func (b *visitorBrowser) visitor() string {
	b.t.Helper()
	sealer, _, err := openSealer(b.n.data)
	if err != nil {
		b.t.Fatal(err)
	}
	state, err := sealer.OpenState("shop", b.state)
	if err != nil {
		b.t.Fatal(err)
	}
	return state.VisitorID()
}

func check(t testing.TB, when string, shown map[string]string, want ...string) {
	t.Helper()
	for i := 0; i < len(want); i += 2 {
		if got := shown[want[i]]; got != want[i+1] {
			t.Errorf("%s: slot %s shows %q, want %q", when, want[i], got, want[i+1])
		}
	}
}

const (
	viewed   = `"name":"view_item","props":{"items":[{"item_id":"sku-7","item_category":"hats"}]}`
	carted   = `"name":"add_to_cart","props":{"items":[{"item_id":"sku-7","price":9.5}]}`
	purchase = `"name":"purchase","props":{"transaction_id":"t1","items":[{"item_id":"hat-1"}]}`
	styled   = `"name":"answer","props":{"style":"plain"}`
)

// One person with two browsers: what happens in one is known in the other, until
// somebody signs out.
func TestTwoBrowsersOfOnePerson(t *testing.T) {
	n, secret, key := newPeopleShop(t)
	a, b := n.newBrowser(t, "a"), n.newBrowser(t, "b")
	before := a.send("", viewed, carted, styled)
	check(t, "anonymous in A", before, "seen", "had", "cart", "full", "told", "points -, tier -, style plain")
	check(t, "the next page in A", a.show(), "seen", "had", "told", "points -, tier -, style plain")
	lot, own := before["lot"], a.visitor()
	token := quote(signIn(secret, "crm-1", nil))

	check(t, "signed in in A", a.send(token), "lot", lot, "seen", "had", "cart", "full", "told", "points -, tier -, style plain")
	if a.refused != "" || a.visitor() != own {
		t.Errorf("A is refused with %q, is %s and was %s", a.refused, a.visitor(), own)
	}
	stranger := b.show()
	check(t, "anonymous in B", stranger, "seen", "new", "bought", "new", "told", "", "cart", "")
	was := b.visitor()
	check(t, "signed in in B", b.send(token), "seen", "had", "cart", "full", "lot", lot, "told", "points -, tier -, style plain")
	if b.visitor() != own || was == own {
		t.Errorf("B is %s, was %s, and A is %s", b.visitor(), was, own)
	}
	begun := time.Now()
	a.send("", purchase)
	waitFor(t, "the purchase in B", func() bool { return b.show()["bought"] == "had" })
	if took := time.Since(begun); took > time.Second {
		t.Errorf("B knew of A's purchase after %v", took)
	}

	// What the shop's servers tell is there with the next decision.
	loyalty := func(points int) string {
		return fmt.Sprintf(`{"v":1,"site":"shop","profile":"crm-1","consent":{"granted":["storage","measure","profile","personalise"]},"events":[{"id":"l%d","name":"loyalty","at":%d,"props":{"points":%[1]d,"tier":"gold"},"origins":{"tier":"third"}}]}`, points, time.Now().UnixMilli())
	}
	if status, answer := n.asServer(t, "/v1/events", key, loyalty(120)); status != 200 || !strings.Contains(answer, `"accepted":1`) {
		t.Fatalf("%d %s", status, answer)
	}
	check(t, "after the till", a.show(), "told", "points 120, tier gold, style plain", "bought", "had", "lot", lot)
	// A page cannot say how many points somebody has.
	a.send("", `"name":"loyalty","props":{"points":999999,"tier":"gold"}`)
	check(t, "after a page's own word", a.show(), "told", "points 120, tier gold, style plain")
	b.send("", `"name":"answer","props":{"style":"loud"}`)
	check(t, "after another answer", a.show(), "told", "points 120, tier gold, style loud")

	report := profileOf(t, n, "crm-1")
	if report.Journey.Orders != 1 || len(report.Linked) != 2 || report.Lot != own || report.Activity["view_item"] != 1 {
		t.Errorf("the profile is %+v", report)
	}
	origins := map[string]string{}
	for _, a := range report.Tells {
		origins[a.Name] = a.Origin + " " + a.Purpose
	}
	if want := (map[string]string{"shop.points": "first personalise", "shop.tier": "third personalise", "shop.style": "zero personalise"}); fmt.Sprint(origins) != fmt.Sprint(want) {
		t.Errorf("attributes %v, want %v", origins, want)
	}
	if text := cli(t, "profiles", "show", "--site", "shop", "--profile", "crm-1", "--data", n.data); !strings.Contains(text, "shop.points") || !strings.Contains(text, "hat-1") || strings.Contains(text, "crm-1") {
		t.Errorf("profiles show prints\n%s", text)
	}

	// Whoever comes after a sign-out sees nothing of it.
	check(t, "signed out in B", b.send("null"), "seen", "new", "bought", "new", "told", "", "cart", "")
	if b.visitor() == own || b.visitor() == was {
		t.Error("who signed out goes on as the same visitor")
	}
	check(t, "after the sign-out in B", b.show(), "seen", "new", "bought", "new", "told", "")
	check(t, "still signed in in A", a.show(), "bought", "had", "lot", lot, "told", "points 120, tier gold, style loud")
	check(t, "somebody else in A", a.send(quote(signIn(secret, "crm-2", nil))), "seen", "new", "bought", "new", "told", "")
	if a.visitor() == own {
		t.Error("another person draws the first one's lots")
	}
	check(t, "the first again in B", b.send(quote(signIn(secret, "crm-1", nil))), "seen", "had", "bought", "had", "lot", lot)
	if got := profileOf(t, n, "crm-1"); got.Activity["view_item"] != 1 || got.Journey.Orders != 1 {
		t.Errorf("a second merge counted twice: %+v", got)
	}

	// Erased: nobody knows anything of it.
	cli(t, "erasure", "request", "--site", "shop", "--profile", "crm-1", "--data", n.data)
	waitFor(t, "the profile to be gone", func() bool {
		return command(t.Context(), []string{"profiles", "show", "--site", "shop", "--profile", "crm-1", "--data", n.data}, stdio{out: &strings.Builder{}, err: &strings.Builder{}}) == exitError
	})
	for name, want := range map[string]bool{"nearside_profile_misses_total": true, "nearside_profiles_cached": true, "nearside_profile_changes_dropped_total": false} {
		if got := !strings.Contains(n.metrics(t), name+" 0\n"); got != want {
			t.Errorf("metric %s is not 0: %v", name, got)
		}
	}
}

// Who erases from one browser is erased as the person they are known to be: the profile,
// the events of both browsers, and the state that the other one still carries.
func TestAPersonErasesAllThatIsTheirs(t *testing.T) {
	n, secret, key := newPeopleShop(t)
	a, b, other := n.newBrowser(t, "a"), n.newBrowser(t, "b"), n.newBrowser(t, "other")
	for _, browser := range []*visitorBrowser{a, b} {
		browser.send("", viewed, carted, styled)
		browser.send(quote(signIn(secret, "crm-1", nil)))
	}
	other.send("", viewed)
	other.send(quote(signIn(secret, "crm-2", nil)))
	if status, text := n.asServer(t, "/v1/events", key, fmt.Sprintf(
		`{"v":1,"site":"shop","profile":"crm-1","consent":{"granted":["storage","measure","profile","personalise"]},"events":[{"id":"l1","name":"loyalty","at":%d,"props":{"points":120}}]}`,
		time.Now().UnixMilli())); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	if got := profileOf(t, n, "crm-1"); len(got.Linked) != 2 {
		t.Fatalf("the profile has %d browsers", len(got.Linked))
	}
	claim := func(path string) (int, string) {
		res, text := n.post(t, path, fmt.Sprintf(`{"v":1,"site":"shop","state":%q}`, a.state), nil)
		return res.StatusCode, text
	}
	if status, text := claim("/v1/mine"); status != 200 || !strings.Contains(text, `"profile":{`) || !strings.Contains(text, "shop.points") {
		t.Errorf("mine: %d %s", status, text)
	}
	if status, text := claim("/v1/forget"); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	for _, ev := range n.storedEvents(t, "shop") {
		if id := ev["id"].(string); !strings.HasPrefix(id, "other") && ev["name"] != edge.ReceiptEvent {
			t.Errorf("event %s is left", id)
		}
	}
	if code := command(t.Context(), []string{"profiles", "show", "--site", "shop", "--profile", "crm-1", "--data", n.data}, stdio{out: io.Discard, err: io.Discard}); code != exitError {
		t.Errorf("the profile is left: exit code %d", code)
	}
	if got := profileOf(t, n, "crm-2"); got.Journey.Views != 1 {
		t.Errorf("another person's profile is %+v", got)
	}
	was := b.visitor()
	check(t, "the other browser", b.show(), "seen", "new", "cart", "", "told", "")
	if b.visitor() == was {
		t.Error("the other browser goes on as who was erased")
	}
	if status, _ := claim("/v1/mine"); status != 410 {
		t.Errorf("the old state is answered with %d", status)
	}
}

// profileOf returns what the command line shows of a customer.
func profileOf(t testing.TB, n *testNode, customer string) (p edge.ProfileReport) {
	t.Helper()
	if err := json.Unmarshal([]byte(cli(t, "profiles", "show", "--json", "--site", "shop", "--profile", customer, "--data", n.data)), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// A token that is not the site's own word of the last minutes identifies nobody, and
// the page shows what it shows to others.
func TestTokensThatIdentifyNobody(t *testing.T) {
	n, secret, _ := newPeopleShop(t)
	good := n.newBrowser(t, "good")
	good.send(quote(signIn(secret, "crm-1", nil)), viewed)
	_, rest, _ := strings.Cut(signIn(secret, "crm-1", nil), ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))
	claims, _, _ := strings.Cut(rest, ".")
	for code, identify := range map[string]string{
		"bad_signature":  quote(signIn(make([]byte, 32), "crm-1", nil)),
		"token_expired":  quote(signIn(secret, "crm-1", map[string]any{"exp": time.Now().Add(-2 * time.Minute).Unix()})),
		"bad_token_time": quote(signIn(secret, "crm-1", map[string]any{"exp": time.Now().Add(time.Hour).Unix()})),
		"other_site":     quote(signIn(secret, "crm-1", map[string]any{"aud": "blog"})),
		"no_key":         quote(none + "." + claims + "."),
		"bad_subject":    quote(signIn(secret, "", nil)),
		"bad_token":      `{"sub":"crm-1"}`,
	} {
		b := n.newBrowser(t, code)
		shown := b.send(identify)
		check(t, code, shown, "seen", "new", "told", "")
		if b.refused != code {
			t.Errorf("%s is refused with %q", code, b.refused)
		}
		if b.visitor() == good.visitor() {
			t.Errorf("%s gave the person's id", code)
		}
	}
	for name, identify := range map[string]string{"too long": quote(strings.Repeat("x", 2000)), "another algorithm": quote(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`)) + "." + rest), "a number": "7"} {
		b := n.newBrowser(t, "odd")
		if b.send(identify); b.refused != "bad_token" && b.refused != "no_key" && b.refused != "bad_signature" {
			t.Errorf("%s is refused with %q", name, b.refused)
		}
	}

	// Two keys count at once, a third is refused, and a revoked one ends.
	second, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(cli(t, "identity", "key", "--site", "shop", "--data", n.data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, with := range [][]byte{secret, second} {
		b := n.newBrowser(t, "rotating")
		check(t, "two keys", b.send(quote(signIn(with, "crm-1", nil))), "seen", "had")
	}
	if code := command(t.Context(), []string{"identity", "key", "--site", "shop", "--data", n.data}, stdio{out: &strings.Builder{}, err: &strings.Builder{}}); code != exitError {
		t.Errorf("a third key: exit %d", code)
	}
	var keys []struct{ ID string }
	list := cli(t, "identity", "list", "--json", "--site", "shop", "--data", n.data)
	if err := json.Unmarshal([]byte(list), &keys); err != nil || len(keys) != 2 || strings.Contains(list, "sealed") {
		t.Fatalf("the keys are %s, %v", list, err)
	}
	cli(t, "identity", "revoke", keys[0].ID, "--site", "shop", "--data", n.data)
	b := n.newBrowser(t, "revoked")
	if b.send(quote(signIn(secret, "crm-1", nil))); b.refused != "bad_signature" {
		t.Errorf("the revoked key's token is refused with %q", b.refused)
	}
}

// Without one of three purposes nobody is known: nothing of the profile is read or
// written, and nothing that would tell of it is said to be known.
func TestAProfileNeedsThreePurposes(t *testing.T) {
	n, secret, _ := newPeopleShop(t)
	token := quote(signIn(secret, "crm-1", nil))
	first := n.newBrowser(t, "first")
	first.send(token, purchase, viewed, styled)
	before := profileOf(t, n, "crm-1")
	for _, purpose := range []consent.Purposes{consent.Storage, consent.Profile, consent.Personalise} {
		name := strings.Join(purpose.Names(), "")
		t.Run(name+" at sign-in", func(t *testing.T) {
			b := n.newBrowser(t, "new-"+name)
			b.granted = consent.All &^ purpose
			shown := b.send(token, viewed)
			if b.refused != "no_consent" || shown["bought"] == "had" || shown["told"] != "" {
				t.Errorf("refused with %q, shows %v", b.refused, shown)
			}
		})
		t.Run(name+" later", func(t *testing.T) {
			b := n.newBrowser(t, "late-"+name)
			check(t, "with all", b.send(token), "bought", "had", "seen", "had", "told", "points -, tier -, style plain")
			b.granted = consent.All &^ purpose
			for range 2 {
				shown := b.send("", `"name":"view_item","props":{"items":[{"item_id":"other"}]}`, `"name":"answer","props":{"style":"no"}`)
				if shown["bought"] != "" || shown["seen"] != "" || shown["told"] != "" || shown["cart"] != "" {
					t.Errorf("without %s it shows %v", name, shown)
				}
			}
		})
	}
	after := profileOf(t, n, "crm-1")
	if len(after.Items) != len(before.Items) || after.Activity["view_item"] != before.Activity["view_item"] || after.Activity["answer"] != before.Activity["answer"] || len(after.Linked) != 1+3 {
		t.Errorf("the profile was %+v and is %+v", before, after)
	}
	again := n.newBrowser(t, "again")
	check(t, "with all again", again.send(token), "bought", "had", "told", "points -, tier -, style plain")
}

// A customer whom a server names is known as one who signed in, and imports land in
// the profile.
func TestServersAndImportsTellOfAPerson(t *testing.T) {
	n, secret, key := newPeopleShop(t)
	csv := filepath.Join(t.TempDir(), "orders.csv")
	day := time.Now().Add(-72 * time.Hour).UTC().Format(time.RFC3339)
	rows := "transaction_id,at,profile,name,item_id,props.points\n" +
		"o1," + day + ",crm-9,purchase,hat-1,\n," + day + ",crm-9,loyalty,,55\n," + day + ",crm-8,loyalty,,7\n"
	if err := os.WriteFile(csv, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time nothing counts again
		cli(t, "events", "import", csv, "--site", "shop", "--url", n.base, "--key", key, "--granted", "storage,measure,profile,personalise", "--restart")
	}
	p := profileOf(t, n, "crm-9")
	if p.Journey.Orders != 1 || len(p.Tells) != 1 || string(p.Tells[0].Value) != "55" || p.Lot != "" {
		t.Fatalf("the profile is %+v", p)
	}
	b := n.newBrowser(t, "b")
	check(t, "signed in", b.send(quote(signIn(secret, "crm-9", nil))), "bought", "had", "told", "points 55, tier -, style -")
	_, answer := n.asServer(t, "/v1/decide", key, `{"v":1,"site":"shop","slots":["bought","told","lot"],"profile":"crm-9","consent":{"granted":["storage","measure","context","profile","personalise"]}}`)
	if !strings.Contains(answer, `"variant":"had"`) || !strings.Contains(answer, "points 55") {
		t.Errorf("a server is told %s", answer)
	}
	if shown := b.show(); !strings.Contains(answer, `"slot":"lot","variant":"`+shown["lot"]+`"`) {
		t.Errorf("the browser draws %s, a server is told %s", shown["lot"], answer)
	}
	_, answer = n.asServer(t, "/v1/decide", key, `{"v":1,"site":"shop","slots":["bought","told"],"profile":"crm-9","consent":{"granted":["storage","measure","context","profile"]}}`)
	if strings.Contains(answer, `"variant":"had"`) || strings.Contains(answer, "points 55") {
		t.Errorf("without personalise a server is told %s", answer)
	}
}

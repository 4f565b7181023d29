// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// testSecret is the secret of the vector that the Standard Webhooks libraries
// test themselves with.
const testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// A receiver takes webhooks over TLS on this machine, and checks each signature.
type receiver struct {
	t          testing.TB
	srv        *httptest.Server
	ca, secret string // files
	// answer says what to do with a message; 0 hangs until the sender gives up.
	answer func(n int, m received) (status int, header map[string]string)

	// skew is how far the sender's clock is ahead.
	skew func() time.Duration

	mu    sync.Mutex
	tries int
	taken []received // answered with a 2xx
}

// A received is a message.
type received struct {
	ID   string
	Type string
	Data struct {
		Events []told
		Site   string
		Person string
		Before uint64
	}
}

func receive(t testing.TB, answer func(n int, m received) (int, map[string]string)) *receiver {
	t.Helper()
	r := &receiver{t: t, answer: answer, skew: func() time.Duration { return 0 }, ca: filepath.Join(t.TempDir(), "ca.pem"), secret: filepath.Join(t.TempDir(), "secret")}
	r.srv = httptest.NewUnstartedServer(http.HandlerFunc(r.serve))
	r.srv.EnableHTTP2 = true
	r.srv.StartTLS()
	t.Cleanup(r.srv.Close)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.srv.Certificate().Raw})
	if err := os.WriteFile(r.ca, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.secret, []byte(testSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the sender was stopped
	}
	secret, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(testSecret, secretPrefix))
	id, at := req.Header.Get("webhook-id"), req.Header.Get("webhook-timestamp")
	if got := req.Header.Get("webhook-signature"); got != sign(secret, id, at, body) || req.Method != http.MethodPost {
		r.t.Errorf("message %s has the signature %q", id, got)
	}
	if seconds, err := strconv.ParseInt(at, 10, 64); err != nil || (time.Since(time.Unix(seconds, 0))+r.skew()).Abs() > wait {
		r.t.Errorf("message %s has the time %q", id, at)
	}
	m := received{ID: id}
	if err := json.Unmarshal(body, &m); err != nil {
		r.t.Errorf("message %s: %v", body, err)
	}
	r.mu.Lock()
	r.tries++
	n := r.tries
	status, header := r.answer(n, m)
	if status/100 == 2 {
		r.taken = append(r.taken, m)
	}
	r.mu.Unlock()
	if status == 0 {
		<-req.Context().Done()
		return
	}
	for name, value := range header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(status)
}

// spec is a sink that sends to the receiver.
func (r *receiver) spec(more string) *Spec {
	s := parse(r.t, fmt.Sprintf("- {name: hook, kind: webhook, url: '%s/in?key=hidden', secretFile: '%s', caFile: '%s', allow: [127.0.0.0/8, '::1/128'], from: start, timeout: 300ms%s}", r.srv.URL, r.secret, r.ca, more))
	s.pause = pause{5 * time.Millisecond, 40 * time.Millisecond}
	return s
}

// events returns what the receiver took, in order; the same event several times
// if it came so.
func (r *receiver) events() (all []told) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.taken {
		all = append(all, m.Data.Events...)
	}
	return all
}

// asked returns how often it was called.
func (r *receiver) asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tries
}

func takeAll(int, received) (int, map[string]string) { return http.StatusNoContent, nil }

func TestASignatureIsAsStandardWebhooksHasIt(t *testing.T) {
	secret, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(testSecret, secretPrefix))
	got := sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

// The receiver fails, hangs, asks to wait and goes away; what each person did
// arrives in its order all the same.
func TestAWebhookKeepsThePersonsOrderThroughFailures(t *testing.T) {
	t.Parallel()
	r := receive(t, func(int, received) (int, map[string]string) {
		switch rand.N(14) {
		case 1:
			return http.StatusInternalServerError, nil
		case 2:
			return 0, nil
		case 3:
			return http.StatusTooManyRequests, map[string]string{"Retry-After": "0"}
		case 4:
			return http.StatusFound, map[string]string{"Location": "/elsewhere"}
		}
		return http.StatusOK, nil
	})
	l := openLog(t, t.TempDir())
	people := []string{"ann", "bob", "cyd", "dan", "eve", ""}
	want := map[string][]string{}
	for n := range 25 {
		var events []edge.Event
		for _, who := range people {
			id := fmt.Sprintf("%s-%02d", who, n)
			want[who] = append(want[who], id)
			events = append(events, anEvent(id, who))
		}
		publish(t, l, events...)
	}
	p, _ := start(t, l, r.spec(", maxEvents: 7, concurrency: 3"))
	status := caughtUp(t, l, p)
	got := map[string][]string{}
	for _, e := range r.events() {
		who, _, _ := strings.Cut(e.ID, "-")
		if !slices.Contains(got[who], e.ID) { // as the receiver does, by the event's id
			got[who] = append(got[who], e.ID)
		}
	}
	for who, ids := range want {
		if who == "" {
			slices.Sort(got[who]) // nobody's events have no order
		}
		if !slices.Equal(got[who], ids) {
			t.Errorf("%q's events came as %v", who, got[who])
		}
	}
	t.Logf("%d events, %d attempts, %d of them failed, %d events taken", 25*len(people), r.asked(), status.Retries, len(r.events()))
	if status.Retries == 0 || status.Dead != 0 || status.State != edge.SinkRunning || status.Problem != "" {
		t.Errorf("status %+v", status)
	}
}

// What a third party gets needs the purpose share, and goes without it.
func TestAWebhookGetsNothingWithoutShare(t *testing.T) {
	t.Parallel()
	r := receive(t, takeAll)
	l := openLog(t, t.TempDir())
	publish(t, l, anEvent("shared", "ann"), eventOf(edge.StoredEvent{ID: "withdrawn", Purposes: consent.All &^ consent.Share}, "ann"))
	p, _ := start(t, l, r.spec(""))
	status := caughtUp(t, l, p)
	if got := idsOf(r.events()); !slices.Equal(got, []string{"shared"}) || status.Skipped[skippedConsent] != 1 {
		t.Errorf("the receiver got %v; status %+v", got, status)
	}
}

func TestAnEventThatTheReceiverRefusesIsADeadLetterAndTheOthersArrive(t *testing.T) {
	t.Parallel()
	refuses := true
	r := receive(t, func(_ int, m received) (int, map[string]string) {
		for _, e := range m.Data.Events {
			if refuses && strings.HasPrefix(e.ID, "bad") {
				return http.StatusUnprocessableEntity, nil
			}
		}
		return http.StatusOK, nil
	})
	l := openLog(t, t.TempDir())
	large := eventOf(edge.StoredEvent{ID: "large", JSON: []byte(`{"v":1,"id":"large","props":{"a":"` + strings.Repeat("x", 5000) + `"}}`)}, "ann")
	publish(t, l, anEvent("a1", "ann"), anEvent("bad-1", "ann"), anEvent("a2", "ann"), large, anEvent("a3", "ann"), anEvent("bad-2", "bob"))
	p, _ := start(t, l, r.spec(", maxBytes: 4096"))
	status := caughtUp(t, l, p)
	got := idsOf(r.events())
	if !slices.Equal(got, []string{"a1", "a2", "a3"}) || status.Dead != 3 || status.Written != 3 {
		t.Errorf("the receiver got %v; status %+v", got, status)
	}
	reasons := map[string]string{}
	var bad edge.DeadLetter
	if err := l.Dead(t.Context(), "", "hook", func(d edge.DeadLetter) error {
		reasons[d.Event] = fmt.Sprint(d.Reason, " ", d.Tries)
		if d.Event == "bad-1" {
			bad = d
			bad.Body = slices.Clone(d.Body)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"bad-1": "refused 3", "bad-2": "refused 3", "large": "too_large 1"}; fmt.Sprint(reasons) != fmt.Sprint(want) {
		t.Errorf("dead letters %v, want %v", reasons, want)
	}
	r.mu.Lock()
	refuses = false
	r.mu.Unlock()
	if err := p.Replay(t.Context(), bad); err != nil {
		t.Error(err)
	}
	if got := idsOf(r.events()); !slices.Equal(got, []string{"a1", "a2", "a3", "bad-1"}) {
		t.Errorf("after the replay %v", got)
	}
}

func TestAReceiverThatTakesNothingAtAllIsWaitedFor(t *testing.T) {
	t.Parallel()
	refuses := true
	r := receive(t, func(int, received) (int, map[string]string) {
		if refuses {
			return http.StatusBadRequest, nil
		}
		return http.StatusOK, nil
	})
	l := openLog(t, t.TempDir())
	const n = maxRefused + 20
	var events []edge.Event
	for i := range n {
		events = append(events, anEvent(fmt.Sprintf("e%03d", i), "ann"))
	}
	publish(t, l, events...)
	p, _ := start(t, l, r.spec(", concurrency: 1"))
	eventually(t, "it stops making dead letters", func() bool {
		s := p.Status(t.Context())
		return s.State == edge.SinkWaiting && s.Problem == "the receiver answers 400" && s.Retries > 3*maxRefused
	})
	r.mu.Lock()
	refuses = false
	r.mu.Unlock()
	status := caughtUp(t, l, p)
	if status.Dead != maxRefused || len(r.events()) != n-maxRefused {
		t.Errorf("%d are dead letters and %d were taken, of %d", status.Dead, len(r.events()), n)
	}
}

func TestAReceiverThatIsGoneStopsItsSinkAlone(t *testing.T) {
	t.Parallel()
	r := receive(t, func(int, received) (int, map[string]string) { return http.StatusGone, nil })
	l, dir := openLog(t, t.TempDir()), t.TempDir()
	gone, _ := start(t, l, r.spec(""))
	files, _ := start(t, l, parse(t, "- {name: files, kind: jsonl, dir: '"+dir+"', from: start, rotateAfter: 1s}"))
	publish(t, l, anEvent("e1", "ann"))
	eventually(t, "the sink is stopped", func() bool { return gone.Status(t.Context()).State == edge.SinkStopped })
	publish(t, l, anEvent("e2", "ann"))
	caughtUp(t, l, files)
	if n := r.asked(); n != 1 {
		t.Errorf("the receiver was asked %d times", n)
	}
	if s := gone.Status(t.Context()); s.Backlog != 2 || s.Problem == "" {
		t.Errorf("status %+v", s)
	}
}

// A receiver is dead while events come and a person is to be forgotten. Another
// sink goes on; when the receiver is back it hears of the person, after what it
// had of them before, and gets nothing more of them.
func TestADeadReceiverHearsOfAForgottenPersonWhenItIsBack(t *testing.T) {
	t.Parallel()
	alive := true
	r := receive(t, func(int, received) (int, map[string]string) {
		if alive {
			return http.StatusOK, nil
		}
		return http.StatusServiceUnavailable, nil
	})
	l, dir := openLog(t, t.TempDir()), t.TempDir()
	hook, _ := start(t, l, r.spec(""))
	files, _ := start(t, l, parse(t, "- {name: files, kind: jsonl, dir: '"+dir+"', from: start, rotateAfter: 1s}"))
	publish(t, l, anEvent("a1", "ann"), anEvent("b1", "bob"))
	caughtUp(t, l, hook)
	r.mu.Lock()
	alive = false
	r.mu.Unlock()
	publish(t, l, anEvent("a2", "ann"), anEvent("b2", "bob"))
	eventually(t, "the receiver is dead", func() bool { return hook.Status(t.Context()).State == edge.SinkWaiting })
	f, err := l.Forget(t.Context(), edge.Person{Site: "shop", Key: personOf("ann")})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, l, anEvent("b3", "bob"), eventOf(edge.StoredEvent{ID: "a3", At: time.Now().Add(time.Second)}, "ann"))
	caughtUp(t, l, files)
	eventually(t, "the files forget", func() bool { return files.Status(t.Context()).Forgetting == 0 })
	if s := hook.Status(t.Context()); s.Forgetting != 1 {
		t.Errorf("status %+v", s)
	}
	r.mu.Lock()
	alive = true
	r.mu.Unlock()
	caughtUp(t, l, hook)
	eventually(t, "the receiver has heard", func() bool { return hook.Status(t.Context()).Forgetting == 0 })
	r.mu.Lock()
	defer r.mu.Unlock()
	var story []string
	for _, m := range r.taken {
		for _, e := range m.Data.Events {
			story = append(story, e.ID)
		}
		if m.Type == typeDeleted {
			if m.Data.Site != "shop" || m.Data.Person != personOf("ann").String() || m.Data.Before != f.Before {
				t.Errorf("deletion %+v, want %+v", m, f)
			}
			story = append(story, "deleted")
		}
	}
	first, deleted := slices.Index(story, "a1"), slices.Index(story, "deleted")
	if slices.Contains(story, "a2") || first < 0 || deleted < first || !slices.Contains(story[deleted:], "a3") || !slices.Contains(story, "b2") {
		t.Errorf("the receiver heard %v", story)
	}
}

func TestAnEventThatExpiresWhileItWaitsIsNotSent(t *testing.T) {
	t.Parallel()
	alive := false
	r := receive(t, func(int, received) (int, map[string]string) {
		if alive {
			return http.StatusOK, nil
		}
		return http.StatusBadGateway, nil
	})
	l := openLog(t, t.TempDir())
	expires := time.Now().Add(600 * time.Millisecond)
	publish(t, l, eventOf(edge.StoredEvent{ID: "short", Expires: expires}, "ann"), anEvent("long", "ann"))
	p, _ := start(t, l, r.spec(""))
	eventually(t, "it was tried", func() bool { return p.Status(t.Context()).Retries > 0 })
	time.Sleep(time.Until(expires) + 10*time.Millisecond)
	r.mu.Lock()
	alive = true
	r.mu.Unlock()
	caughtUp(t, l, p)
	if got := idsOf(r.events()); !slices.Equal(got, []string{"long"}) {
		t.Errorf("the receiver got %v", got)
	}
}

func TestOnlyPublicAddressesAreCalled(t *testing.T) {
	t.Parallel()
	r := receive(t, takeAll)
	l := openLog(t, t.TempDir())
	publish(t, l, anEvent("e1", "ann"))
	spec := r.spec("")
	spec.Allow = nil
	p, _ := start(t, l, spec)
	eventually(t, "it is refused", func() bool {
		s := p.Status(t.Context())
		return strings.Contains(s.Problem, "127.0.0.1 is not public") && !strings.Contains(s.Problem, "hidden")
	})
	if r.asked() > 0 {
		t.Error("the receiver was called")
	}
	inside := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	for address, want := range map[string]bool{
		"9.9.9.9:443": true, "[2620:fe::9]:443": true, "10.1.2.3:443": true,
		"10.2.0.1:443": false, "127.0.0.1:443": false, "[::1]:443": false, "169.254.169.254:80": false, "[fd00:ec2::254]:80": false, "0.0.0.0:80": false,
		"192.168.1.1:443": false, "172.16.0.1:443": false, "100.64.0.1:443": false, "[fe80::1%eth0]:443": false, "[::ffff:10.2.0.1]:443": false,
		"[::ffff:10.1.2.3]:443": true, "[64:ff9b::a02:1]:443": false, "224.0.0.1:443": false, "255.255.255.255:443": false, "[2002:a02:1::]:443": false, "x": false,
	} {
		if err := mayCall(address, inside); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestRetryAfterIsReadAsSecondsOrADate(t *testing.T) {
	now := time.Date(2026, 11, 27, 9, 30, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "Fri, 27 Nov 2026 09:31:00 GMT": time.Minute, "Fri, 27 Nov 2026 09:29:00 GMT": 0, "soon": 0, "99999999999999": 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
	for attempt := range 100 {
		if d := (pause{time.Second, time.Minute}).before(attempt + 1); d < time.Second/2 || d > time.Minute {
			t.Errorf("attempt %d waits %v", attempt+1, d)
		}
	}
}

// TestWhatAReceiverSaysIsNotRepeated: one that sends back what it is sent would
// have the address, its secret and the visitor's data in the log and the status.
func TestWhatAReceiverSaysIsNotRepeated(t *testing.T) {
	r := receive(t, takeAll)
	for name, say := range map[string]string{
		"its request line": "POST /hook?token=marker HTTP/1.1\r\n\r\n",
		"a status":         "HTTP/1.1 marker OK\r\n\r\n",
		"a header":         "HTTP/1.1 200 OK\r\nmarker {\"v\":1}\r\n\r\n",
		"a length":         "HTTP/1.1 200 OK\r\nContent-Length: marker\r\n\r\n",
		"nothing":          "",
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: r.srv.TLS.Certificates})
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					_, _ = conn.Read(make([]byte, 1024)) // the request, as far as it goes
					_, _ = io.WriteString(conn, say)
					conn.Close()
				}
			}()
			spec := r.spec("")
			spec.URL.Host = listener.Addr().String()
			opened, err := Open(t.Context(), spec, Circumstances{})
			if err != nil {
				t.Fatal(err)
			}
			defer opened.Close()
			got := opened.(*hook).post(t.Context(), &message{id: "msg_1", body: []byte("{}")})
			if got.err == nil || strings.Contains(got.err.Error(), "marker") || strings.Contains(got.err.Error(), "token") {
				t.Errorf("answer %+v", got)
			}
		})
	}
}

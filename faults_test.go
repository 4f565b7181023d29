// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// faultsEnv lets TestFaults run: it takes a minute, and for some of its rows
// root and loop devices.
const faultsEnv = "NEARSIDE_TEST_FAULTS"

// A fault is one row of the table that make faults prints: something that goes
// wrong while a real node, a process of its own, is under load.
//
// To add a row, add it to faults and write its function. The function starts
// the node, puts load on it, does its worst, lets clients send again what they
// got no answer for, as the tag does, and leaves the node stopped:
//
//	r.start()               // again after each kill
//	stop := r.load()        // beacons from many clients until stop is called
//	…                       // the fault
//	stop()
//	r.resend(r.unanswered())
//	r.stop()
//
// What was sent and acknowledged the rig has counted meanwhile; what is stored
// it reads afterwards from the log itself. A row fails when an acknowledged
// event is not there, or any event twice. Where the machine cannot do it, the
// function calls r.skip with the reason, which the table shows.
type fault struct {
	name string
	does func(r *faultRig)
}

// faults are the rows of the table.
var faults = []fault{
	{"kill -9, three times", killUnderLoad},
	{"power cut, twice", cutPowerUnderLoad},
	{"full disk, and room again", fillDiskUnderLoad},
	{"torn end of the log after a kill", tearLogEnd},
	{"dead sink beside a live one, and a kill", deadSinkUnderLoad},
	{"all sent again after a restart and a kill", sendAgainAcrossRestarts},
	{"300 slow clients", sufferSlowClients},
	{"a million addresses", meetAMillionAddresses},
	{"reload of every file by good and bad ones", reloadEveryFile},
}

// A faultCount is what became of the events of a row.
type faultCount struct{ sent, acknowledged, stored, duplicated, lost int }

// TestFaults prints the table.
func TestFaults(t *testing.T) {
	if os.Getenv(faultsEnv) == "" {
		t.Skipf("set %s=1, or call make faults", faultsEnv)
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "sent\tacknowledged\tstored\tduplicated\tlost\t  fault")
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			r := newFaultRig(t)
			defer func() {
				if why := r.skipped; why != "" {
					fmt.Fprintf(table, "-\t-\t-\t-\t-\t  %s (not tried: %s)\n", f.name, why)
				}
			}()
			f.does(r)
			n := r.count()
			fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t  %s\n", n.sent, n.acknowledged, n.stored, n.duplicated, n.lost, f.name)
			if n.lost != 0 || n.duplicated != 0 || n.acknowledged < 200 {
				t.Errorf("%+v, want a load of 200 and more, and nothing lost or duplicated", n)
			}
		})
	}
	if err := table.Flush(); err != nil {
		t.Error(err)
	}
	fmt.Print("\n", text.String(), "\n")
}

// A faultRig is a node as a process, and the clients that send to it. The
// numbers it gives are of events; a beacon has two.
type faultRig struct {
	*testing.T
	data    string
	node    *testNode
	process *exec.Cmd
	client  *http.Client
	skipped string

	mu   sync.Mutex
	sent map[string]bool // by beacon, whether it was acknowledged
	cut  time.Time       // since when there is no power, or zero
	late int             // beacons acknowledged well after that
}

// faultClients is how many send at once.
const faultClients = 16

func newFaultRig(t *testing.T) *faultRig {
	return &faultRig{
		T: t, data: t.TempDir(), sent: map[string]bool{},
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: faultClients}},
	}
}

// skip ends the row: the machine cannot do it.
func (r *faultRig) skip(why string) {
	r.skipped = why
	r.Skip(why)
}

// start starts the node on the rig's data, and adds the site the first time.
func (r *faultRig) start() {
	r.Helper()
	if !exists(filepath.Join(r.data, "jetstream")) {
		cli(r, "site", "add", "shop", "--origin", shopOrigin, "--data", r.data)
	}
	process, base := startProcess(r, r.data)
	r.process, r.node = process, &testNode{base: base, data: r.data}
}

// stop ends the node as an operator does.
func (r *faultRig) stop() {
	r.Helper()
	r.end(syscall.SIGTERM)
}

// kill ends the node without a warning.
func (r *faultRig) kill() {
	r.Helper()
	r.end(syscall.SIGKILL)
}

func (r *faultRig) end(with syscall.Signal) {
	r.Helper()
	if err := r.process.Process.Signal(with); err != nil {
		r.Fatal(err)
	}
	if err := r.process.Wait(); (err != nil) != (with == syscall.SIGKILL) {
		r.Fatalf("the node ended with %v", err)
	}
	r.client.CloseIdleConnections()
}

// load has clients send beacons, one after another each, until stop is called;
// stop waits for their answers.
func (r *faultRig) load() (stop func()) {
	ended := make(chan struct{})
	var clients sync.WaitGroup
	run := rand.Uint64()
	for client := range faultClients {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-ended:
					return
				default:
				}
				if !r.send(fmt.Sprintf("%x-%d-%d", run, client, n)) {
					time.Sleep(20 * time.Millisecond) // as nobody answers, nobody hurries
				}
			}
		})
	}
	return func() {
		close(ended)
		clients.Wait()
	}
}

// send sends a beacon and reports whether all of it was acknowledged.
func (r *faultRig) send(id string) bool {
	r.mu.Lock()
	if _, again := r.sent[id]; !again {
		r.sent[id] = false
	}
	r.mu.Unlock()
	status, text, err := r.ask(r.node.request(id))
	ok := err == nil && (status == http.StatusNoContent || status == http.StatusOK && !strings.Contains(text, `"rejected":[{`))
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case ok && r.cut.IsZero():
		r.sent[id] = true
	case ok && time.Since(r.cut) > cutGrace:
		r.late++
	}
	return ok
}

func (r *faultRig) ask(req *http.Request) (status int, text string, err error) {
	res, err := r.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

// unanswered are the beacons that nobody acknowledged.
func (r *faultRig) unanswered() (ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, acknowledged := range r.sent {
		if !acknowledged {
			ids = append(ids, id)
		}
	}
	return ids
}

// all are all beacons that were ever sent.
func (r *faultRig) all() (ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.sent {
		ids = append(ids, id)
	}
	return ids
}

// resend sends beacons again and wants an acknowledgement of each.
func (r *faultRig) resend(ids []string) {
	r.Helper()
	work := make(chan string)
	var clients sync.WaitGroup
	for range faultClients {
		clients.Go(func() {
			for id := range work {
				if !r.send(id) {
					r.Errorf("beacon %s was sent again and not acknowledged", id)
				}
			}
		})
	}
	for _, id := range ids {
		work <- id
	}
	close(work)
	clients.Wait()
}

// count compares what clients know with what the log holds.
func (r *faultRig) count() (n faultCount) {
	r.Helper()
	stored := map[string]int{}
	for line := range strings.Lines(cli(r, "events", "--data", r.data)) {
		var ev struct{ ID string }
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			r.Fatalf("event line %q: %v", line, err)
		}
		stored[ev.ID]++
	}
	n.stored = len(stored)
	for _, times := range stored {
		n.duplicated += times - 1
	}
	for id, acknowledged := range r.sent {
		n.sent += 2
		if !acknowledged {
			continue
		}
		n.acknowledged += 2
		for _, ev := range []string{id + ".1", id + ".2"} {
			if stored[ev] == 0 {
				n.lost++
			}
		}
	}
	return n
}

// faultTurn is how long a row's load lasts before its fault.
const faultTurn = 900 * time.Millisecond

func killUnderLoad(r *faultRig) {
	for range 3 {
		r.start()
		r.resend(r.unanswered())
		stop := r.load()
		time.Sleep(faultTurn)
		r.kill()
		stop()
	}
	r.start()
	r.resend(r.unanswered())
	r.stop()
}

// tearLogEnd leaves a part of a record behind the last one, as a write that a
// power cut ended half-way does on a disk that reorders.
func tearLogEnd(r *faultRig) {
	r.start()
	stop := r.load()
	time.Sleep(faultTurn)
	r.kill()
	stop()
	blocks, err := filepath.Glob(filepath.Join(r.data, "jetstream", "$G", "streams", "EVENTS", "msgs", "*.blk"))
	if err != nil || len(blocks) == 0 {
		r.Fatalf("no blocks: %v", err)
	}
	last := blocks[len(blocks)-1]
	stored, err := os.ReadFile(last)
	if err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(last, append(stored, stored[:len(stored)/3]...)[:len(stored)+700], 0o600); err != nil {
		r.Fatal(err)
	}
	r.start()
	stop = r.load()
	time.Sleep(faultTurn)
	stop()
	r.resend(r.unanswered())
	r.stop()
}

func sendAgainAcrossRestarts(r *faultRig) {
	for _, end := range []func(){r.stop, r.kill, r.stop} {
		r.start()
		r.resend(r.all())
		stop := r.load()
		time.Sleep(faultTurn)
		end()
		stop()
	}
	r.start()
	r.resend(r.all())
	r.stop()
}

// decides asks the node for a decision with an event beside it, as a page view
// does.
func (r *faultRig) decides() (status int, text string) {
	r.Helper()
	res, text := r.node.post(r, "/_near/v1/beacon", beaconOf(consent.Measure|consent.Context, fmt.Sprintf("d%x", rand.Uint64())), nil)
	return res.StatusCode, text
}

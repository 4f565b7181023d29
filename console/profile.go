// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"net/http"
	"runtime/pprof"
	"time"
)

// Seconds that a CPU profile takes.
const (
	usualProfileSeconds = 30
	mostProfileSeconds  = 600
)

// errProfiled refuses a profile while another one is taken: there is one at a time.
var errProfiled = &refusal{409, "profile_running", "", "another CPU profile is being taken"}

// cpu answers GET /debug/pprof/profile with a CPU profile of the node, the address
// that Go's tools know. It holds the names of functions and how long they ran, and
// nothing of what they worked on.
func (c *Console) cpu(q *call) error {
	seconds, err := q.number("seconds", usualProfileSeconds)
	if err != nil {
		return err
	}
	if seconds < 1 || seconds > mostProfileSeconds {
		return badRequest("seconds", "seconds must be 1 to %d", mostProfileSeconds)
	}
	q.arrived()
	length := time.Duration(seconds) * time.Second
	_ = http.NewResponseController(q.w).SetWriteDeadline(time.Now().Add(length + lineTime)) // a writer without one is not a connection
	q.w.Header().Set("Content-Type", "application/octet-stream")
	if err := pprof.StartCPUProfile(q.w); err != nil {
		return fmt.Errorf("%w: %w", errProfiled, err)
	}
	defer pprof.StopCPUProfile()
	select {
	case <-time.After(length):
	case <-q.ctx().Done():
	case <-c.ending.Done():
	}
	return nil
}

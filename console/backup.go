// SPDX-License-Identifier: Apache-2.0

package console

import (
	"io"
	"net/http"
	"time"

	"github.com/nearside/nearside/publishing"
)

// socketTable lists the routes that only the operator's socket has: no token is
// good for them.
func (c *Console) socketTable() []route {
	return []route{
		{"GET", "/v1/backup", publishing.Admin, everywhere, noBody, "everything that the node keeps, its key too, as a tar archive", c.backup},
		{"GET", "/debug/pprof/profile", publishing.Admin, everywhere, noBody, "a CPU profile of `?seconds=` (30, at most 600)", c.cpu},
	}
}

// backup answers GET /v1/backup with an archive that is made as it is sent. One
// that could not be finished lacks its end.
func (c *Console) backup(q *call) error {
	if c.options.Backup == nil {
		return errNotFound
	}
	q.arrived()
	q.w.Header().Set("Content-Type", "application/x-tar")
	q.w.WriteHeader(http.StatusOK)
	if err := c.options.Backup(q.ctx(), &patientWriter{q.w, http.NewResponseController(q.w)}); err != nil {
		c.options.Logger.Error("a backup was not finished", "error", err)
	}
	return nil
}

// A patientWriter gives the client a while for each write instead of one for all.
type patientWriter struct {
	w       io.Writer
	control *http.ResponseController
}

func (p *patientWriter) Write(b []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(lineTime)) // a writer without one is not a connection
	return p.w.Write(b)
}

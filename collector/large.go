// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge"
)

// maxLargeBodies is how many bodies beyond a beacon's size are held at once: with
// edge.MaxBatchBytes each they take 64 MiB. The memory of a body is taken as a
// whole when its head has come, so that slow senders would else take a mebibyte for
// each connection.
const maxLargeBodies = 64

var errLargeBodies = &refusal{503, "too_many_bodies", "", "as many large bodies arrive as the server holds: send this again later"}

// largeBodies are the places of large bodies that arrive or are worked on. They
// are known by their requests' heads, of which a connection has one at a time. A
// place whose body cannot arrive in time any more is free again. It is safe for
// concurrent use.
type largeBodies struct {
	mu    sync.Mutex
	heads [maxLargeBodies]*fasthttp.RequestHeader
	until [maxLargeBodies]time.Time // zero while the body is worked on
}

// take gives a place to a request whose body must arrive by until, and reports
// whether there was one.
func (l *largeBodies) take(head *fasthttp.RequestHeader, until time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	free, now := -1, time.Now()
	for i, h := range l.heads {
		late := !l.until[i].IsZero() && now.After(l.until[i])
		if h == head {
			free = i
			break
		}
		if free < 0 && (h == nil || late) {
			free = i
		}
	}
	if free < 0 {
		return false
	}
	l.heads[free], l.until[free] = head, until
	return true
}

// keep holds a request's place, if it has one, until it is freed.
func (l *largeBodies) keep(head *fasthttp.RequestHeader) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, h := range l.heads {
		if h == head {
			l.until[i] = time.Time{}
		}
	}
}

// free gives a request's place back, and reports whether it had one.
func (l *largeBodies) free(head *fasthttp.RequestHeader) (had bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, h := range l.heads {
		if h == head {
			l.heads[i], l.until[i], had = nil, time.Time{}, true
		}
	}
	return had
}

// mayBeLarge reports whether a request's body needs a place and may have one: it is
// a batch's, larger than a beacon's or of no stated size, and of who has a key.
func (s *Server) mayBeLarge(head *fasthttp.RequestHeader) bool {
	if n := head.ContentLength(); n >= 0 && n <= edge.MaxBeaconBytes || n > edge.MaxBatchBytes {
		return false
	}
	path, _, _ := strings.Cut(view(head.RequestURI()), "?")
	if r := s.route(path); r == nil || r.label != routeEvents {
		return false
	}
	_, err := s.accessOf(head)
	return err == nil
}

// SPDX-License-Identifier: Apache-2.0

package console

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// sessionTime is how long a session lasts, whatever is done in it.
	sessionTime = 8 * time.Hour
	// maxSessions bounds the sessions at once; the oldest makes room.
	maxSessions = 1000
)

// Sessions are who is signed in to the page. They are in memory alone: a restart
// signs everybody out, and signing out really ends a session, which a sealed
// cookie could not promise. The zero value has none; it is safe for concurrent
// use.
type sessions struct {
	mu sync.Mutex
	// byKey has each by the SHA-256 of what its cookie holds, so that how long a
	// look-up takes says nothing about it.
	byKey map[[sha256.Size]byte]session
}

// A session is a token that somebody signed in with, by its ID.
type session struct {
	token string
	until time.Time
}

// begin makes a session and returns what its cookie holds.
func (s *sessions) begin(token string, now time.Time) string {
	var random [32]byte
	rand.Read(random[:])
	secret := base64.RawURLEncoding.EncodeToString(random[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey == nil {
		s.byKey = map[[sha256.Size]byte]session{}
	}
	if len(s.byKey) >= maxSessions {
		s.makeRoom(now)
	}
	s.byKey[sha256.Sum256([]byte(secret))] = session{token, now.Add(sessionTime)}
	return secret
}

// makeRoom drops the sessions that are over, or else the oldest.
func (s *sessions) makeRoom(now time.Time) {
	var oldest [sha256.Size]byte
	var first time.Time
	for key, known := range s.byKey {
		if !now.Before(known.until) {
			delete(s.byKey, key)
		} else if first.IsZero() || known.until.Before(first) {
			oldest, first = key, known.until
		}
	}
	if len(s.byKey) >= maxSessions {
		delete(s.byKey, oldest)
	}
}

// token returns the token of a session, "" if there is no such session.
func (s *sessions) token(secret string, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := sha256.Sum256([]byte(secret))
	known := s.byKey[key]
	if !now.Before(known.until) {
		delete(s.byKey, key)
		return ""
	}
	return known.token
}

func (s *sessions) end(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byKey, sha256.Sum256([]byte(secret)))
}

// overTLS reports whether the browser came by TLS, here or to the proxy in
// front. A header that is not true costs its sender alone: a browser does not
// keep a secure cookie of a page without TLS.
func overTLS(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// sessionCookie names the session's cookie. Over TLS the name alone makes a
// browser refuse one that another host or path set.
func sessionCookie(r *http.Request) string {
	if overTLS(r) {
		return "__Host-near_console"
	}
	return "near_console"
}

// setSession gives the browser a session, or takes it back with "".
func (q *call) setSession(secret string) {
	cookie := &http.Cookie{
		Name: sessionCookie(q.r), Value: secret, Path: "/", MaxAge: int(sessionTime / time.Second),
		Secure: overTLS(q.r), HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
	if secret == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(q.w, cookie)
}

// session returns what the session's cookie holds, "" without one.
func (q *call) session() string {
	cookie, err := q.r.Cookie(sessionCookie(q.r))
	if err != nil {
		return ""
	}
	return cookie.Value
}

// bySession believes a session, if the token that it was begun with counts
// still.
func (c *Console) bySession(q *call) error {
	secret := q.session()
	if secret == "" {
		return errNoCredentials
	}
	id := c.sessions.token(secret, c.options.Now())
	if id == "" {
		return errNoCredentials
	}
	token, err := q.desk().TokenByID(q.ctx(), id)
	q.actor, q.token = token.Actor, token.ID
	return err
}

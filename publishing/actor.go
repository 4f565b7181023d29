// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"fmt"
	"slices"
	"strings"
)

// A Role is what an actor may do. From Viewer on each may do what those before
// it may. The zero value is no role and may do nothing.
type Role uint8

// The roles.
const (
	// Server is a program's: it sends events and asks for decisions at its sites
	// (Actor.Serves) and may do nothing of what the others may, nor they that. It
	// stands below them, so that whatever asks for one of them refuses it.
	Server    Role = iota + 1
	Viewer         // sees status, history, counts and the audit log
	Editor         // checks, tests and uploads modules, makes previews, replays decisions
	Approver       // approves and rejects what others propose
	Publisher      // publishes, shadows, rolls out, rolls back
	Admin          // hands out and revokes tokens
)

var roleNames = [...]string{Server: "server", Viewer: "viewer", Editor: "editor", Approver: "approver", Publisher: "publisher", Admin: "admin"}

// Roles returns the roles' names: Server's, then people's, least first.
func Roles() []string { return slices.Clone(roleNames[Server:]) }

// ParseRole returns the role called name.
func ParseRole(name string) (Role, error) {
	if i := slices.Index(roleNames[:], name); i > 0 {
		return Role(i), nil
	}
	return 0, fmt.Errorf("role %.40q is not one of %s", name, strings.Join(Roles(), ", "))
}

// String returns the role's name, "" for none.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return ""
}

// MarshalText implements encoding.TextMarshaler.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Role) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRole(string(text))
	return err
}

// AnySite stands in an actor's sites for every site, those to come included.
const AnySite = "*"

// An Actor is somebody who asks a Desk for something. Only what proves who it
// is makes one: Authenticate, or the program for who holds its socket.
type Actor struct {
	// Name is the person's or the program's; two tokens of one name are one
	// person.
	Name string `json:"name"`
	Role Role   `json:"role"`
	// Sites are the sites the role counts at; AnySite is every one.
	Sites []string `json:"sites"`

	makers []string // who made its token, and that one's, but for the operator
}

// Operator is who runs the node: whoever can open its files and its socket.
func Operator() Actor { return Actor{Name: "operator", Role: Admin, Sites: []string{AnySite}} }

// Sees reports whether the actor's role counts at a site.
func (a Actor) Sees(site string) bool {
	return a.Role >= Viewer && (slices.Contains(a.Sites, site) || slices.Contains(a.Sites, AnySite))
}

// Serves reports whether the actor is a program that may send events of a site
// and ask for its decisions.
func (a Actor) Serves(site string) bool {
	return a.Role == Server && (slices.Contains(a.Sites, site) || slices.Contains(a.Sites, AnySite))
}

// May reports whether the actor has at least a role at a site.
func (a Actor) May(role Role, site string) bool { return a.Role >= role && a.Sees(site) }

// speaksFor reports whether whoever has a name may be behind the actor: it is of
// that name, or has its token from who is.
func (a Actor) speaksFor(name string) bool { return a.Name == name || slices.Contains(a.makers, name) }

// line is the actor and its makers, as those of a token that it makes. Who runs
// the node can do everything anyway, and hands out the first tokens: that makes
// nobody the same person.
func (a Actor) line() []string {
	if a.Name == Operator().Name || slices.Contains(a.makers, a.Name) {
		return a.makers
	}
	return append(slices.Clone(a.makers), a.Name)
}

// need refuses an actor without the role at a site.
func (a Actor) need(role Role, site string) error {
	switch {
	case !a.Sees(site):
		return refuse(CodeForbidden, "site", "%s has no role at site %.64q", a.Name, site)
	case a.Role < role:
		return refuse(CodeForbidden, "", "this needs the role %s; %s is %s", role, a.Name, a.Role)
	}
	return nil
}

// needAnywhere refuses an actor without the role, whatever the site.
func (a Actor) needAnywhere(role Role) error {
	if a.Role < role || len(a.Sites) == 0 {
		return refuse(CodeForbidden, "", "this needs the role %s", role)
	}
	return nil
}

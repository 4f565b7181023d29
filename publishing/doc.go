// SPDX-License-Identifier: Apache-2.0

// Package publishing is the life of a rule module at a site: who may do what,
// and how a module comes in, is tried beside the live one, reaches a share of
// the visitors, then all of them, and goes back in one step.
//
// A Desk does each of these for an Actor. It refuses with an *Error whose code
// is stable. Every change goes through the site's one release document by
// compare-and-swap: it is compiled as a node would compile it before it is
// stored, and noted in the audit log before it takes effect. Where a site wants
// a second person, a change becomes a Proposal that somebody else approves.
//
//	Actor, Role     who may do what             actor.go
//	Token           how an actor proves it      token.go
//	Upload          a module comes in           upload.go
//	Change          publish, shadow, roll out   change.go
//	Compiler        rules without code          compile.go
//	Proposal        the second person           proposal.go
//	Preview         to be looked at first       preview.go
//	Quota           what one site may have      quota.go
//	Entry           the audit log               audit.go
//	Status, Counts  what is live, what it does  status.go
//
// The package knows neither HTTP nor storage: what it needs of both is in
// ports.go and is wired by the program. It keeps nothing in memory between two
// calls but the reports of the modules that come with the node, and a Desk is safe for concurrent use, by several processes on one
// store too.
package publishing

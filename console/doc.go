// SPDX-License-Identifier: Apache-2.0

// Package console is the operator's face of a node: the admin API over HTTP and
// the page /console, both over one publishing.Desk.
//
//	route, routes      who may do what, one row each   route.go
//	Console            listeners, limits, shutdown     console.go
//	call               one request and who makes it    call.go
//	refusal            errors and their statuses       refusal.go
//	page               what a template sees            page.go
//	sessions           who is signed in to the page    session.go
//	api_*.go, page_*.go   what the rows do; the pages' are in page_route.go
//
// There are two ways in. Who can open the node's socket is the operator and is
// asked for nothing. Over TCP every route but those of the table's role none
// wants a token, or the session that the page made of one; the token's role and
// sites are compared with the route's row before anything is read, and the desk
// compares them again.
//
// The package never decides what may happen to a module, keeps nothing but
// sessions, and sees nothing of a visitor but stored events, which it passes on
// unread. A Console is safe for concurrent use.
package console

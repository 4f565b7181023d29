// SPDX-License-Identifier: Apache-2.0

// Package edge is the engine and the vocabulary of Nearside.
//
// A beacon comes in, bounded but not believed. Decide folds its consent
// signals into a set of granted purposes, builds a Visit from what the request
// and the sealed state say, and walks each slot's ladder: every rule receives a
// View, which is what the rule declared and the visitor granted, and nothing
// else. A Batch is what a site's own server tells: Accept believes it about what
// happened, and decides consent as it does for a beacon. What may be stored leaves
// as Events, and an Event can only be made through a View.
//
//	Beacon  bounded, not believed     (DecodeBeacon made it)
//	Batch   bounded, its sender known (DecodeBatch made it)
//	Visit   believed                  (newVisit)
//	View    declared ∩ granted        (Visit.view)
//	Event   storable                  (only through a View)
//
// A visitor never sees an error: no consent, an unknown slot, a rule that
// fails or overspends each give the slot's default and a Reason of their own.
//
// The package does no network and no disk work and uses the standard library
// only. An Engine is safe for concurrent use; a Release is immutable; a Visit
// and its Views belong to one request and must not outlive it.
package edge

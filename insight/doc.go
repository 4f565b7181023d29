// SPDX-License-Identifier: Apache-2.0

// Package insight counts what was shown and clicked.
//
// A Tally follows the event log and counts slot_impression and slot_click by
// site, day, slot and variant. It looks into no other event. What it has counted
// it keeps as notes, each of which says up to which event of the log it counts:
// so after a crash, wherever it came, every event is counted once.
//
// The counts are no experiment: who sees a variant was chosen by a rule and not
// by lot, so a difference between two variants proves nothing.
//
// The package keeps no event and nothing of a person. A Tally is safe for
// concurrent use; one process at a time may run it on a store.
package insight

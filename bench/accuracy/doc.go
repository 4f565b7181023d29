// SPDX-License-Identifier: Apache-2.0

// Package accuracy measures how well the collector tells devices, crawlers and
// languages, on corpora that others wrote for their own programs:
//
//	go test -v ./accuracy              the tables
//	go test -v ./accuracy -misses 40   and what is told wrong, in groups
//
// It has tests only. They fetch the corpora through the module proxy, once.
package accuracy

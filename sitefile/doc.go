// SPDX-License-Identifier: Apache-2.0

// Package sitefile reads and writes a site's release as YAML files that people
// keep, review and change: the other spelling of edge.ReleaseDocument.
//
// A directory holds any number of files, *.yaml and *.yml; together they are one
// release, and in which file something stands means nothing. One table (shapes)
// says what may stand in a file: the reader checks by it, and the JSON Schema
// that editors check and complete by is made from it.
//
// Everything that is wrong with all files is reported at once, each finding with
// its place. What a file may hold is bounded, so a file of a stranger is no
// danger; text is never run. The package keeps no state, calls nobody and asks
// the network for nothing; only ReadBase and Export touch the disk.
package sitefile

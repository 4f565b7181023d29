// SPDX-License-Identifier: Apache-2.0

package edge

import "unsafe"

// textOf returns b as a string without copying. It is valid as long as b is not
// changed: what it is of belongs to one request, and so does the string.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// bytesOf returns the bytes of s, which must not be changed.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

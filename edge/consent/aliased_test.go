// SPDX-License-Identifier: Apache-2.0

package consent

import "unsafe"

// aliased is a string that changes with b, as those of a beacon do with the memory
// of their request.
func aliased(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"strings"
	"testing"
	"unsafe"
)

// aliased is a string that changes with b, as those of a beacon do with the memory
// of their request.
func aliased(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// A kept answer must hold nothing of the beacon that it came in.
func TestAnswersHoldNothingOfTheText(t *testing.T) {
	tc := []byte(agreed().text())
	us := []byte(gppText(uscaText(1, 2, 2, 0, false)))
	bad := []byte("DBABLA~" + strings.Repeat("B", 20) + "*")
	tcf, gpp, malformed := ReadTCF(aliased(tc), 7), ReadGPP(aliased(us), ByPurpose), ReadGPP(aliased(bad), ByPurpose)
	before := [...]any{tcf, gpp, malformed.fault}
	for _, text := range [][]byte{tc, us, bad} {
		for i := range text {
			text[i] = 'A'
		}
	}
	if after := [...]any{tcf, gpp, malformed.fault}; before != after {
		t.Errorf("changed with the text from %v to %v", before, after)
	}
	if malformed.fault.Field == "" || malformed.fault.Code == "" {
		t.Errorf("no fault: %+v", malformed.fault)
	}
}

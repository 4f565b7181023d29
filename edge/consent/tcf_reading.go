// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nearside/nearside/edge/consent/packed"
)

// A TCFReading is whose choices a site reads in TC strings: a vendor's id from 1
// to 65535, or one of the constants. The zero value is ByPurpose.
//
// An operator is normally no vendor of the Global Vendor List. Its own processing
// is described by the publisher's segment, which many platforms write as all zeros
// by default, so that zero cannot be told from refusal.
type TCFReading uint32

// MaxTCFVendor is the largest id of a vendor.
const MaxTCFVendor = packed.MaxVendor

// The readings that are no vendor.
const (
	ByPurpose   TCFReading = 0                // the purposes, whoever pursues them
	ByPublisher TCFReading = MaxTCFVendor + 1 // the publisher's own segment
)

// ErrTCFReading is returned for a setting that is no TCFReading.
var ErrTCFReading = errors.New(`want "purpose", "publisher" or a vendor's id from 1 to 65535`)

// ParseTCFReading reads the word, or the number as digits.
func ParseTCFReading(word string) (TCFReading, error) {
	switch word {
	case "purpose":
		return ByPurpose, nil
	case "publisher":
		return ByPublisher, nil
	}
	id, err := strconv.ParseUint(word, 10, 16)
	if err != nil || id == 0 || word[0] == '0' || word[0] == '+' {
		return 0, fmt.Errorf("%w, not %.40q", ErrTCFReading, word)
	}
	return TCFReading(id), nil
}

// String returns the word, or the vendor's id as digits.
func (r TCFReading) String() string {
	switch r {
	case ByPurpose:
		return "purpose"
	case ByPublisher:
		return "publisher"
	default:
		return strconv.FormatUint(uint64(r), 10)
	}
}

// MarshalJSON writes the word as a text or the vendor as a number.
func (r TCFReading) MarshalJSON() ([]byte, error) {
	switch {
	case r == ByPurpose || r == ByPublisher:
		return json.Marshal(r.String())
	case r > ByPublisher:
		return nil, ErrTCFReading
	}
	return []byte(r.String()), nil
}

// UnmarshalJSON reads what MarshalJSON writes; null leaves r as it is.
func (r *TCFReading) UnmarshalJSON(data []byte) error {
	word := string(data)
	if word == "null" {
		return nil
	}
	if data[0] == '"' {
		if err := json.Unmarshal(data, &word); err != nil {
			return err
		}
		if word != "purpose" && word != "publisher" {
			return fmt.Errorf("tcf: %w, not %.40q", ErrTCFReading, word)
		}
	}
	read, err := ParseTCFReading(word)
	if err != nil {
		return fmt.Errorf("tcf: %w", err)
	}
	*r = read
	return nil
}

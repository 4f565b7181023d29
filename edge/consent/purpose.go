// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nearside/nearside/edge/nearest"
)

// Purposes is a set of reasons for processing. The zero value is the empty set.
// On the wire and in the rule ABI it is a number; in settings it is a Set.
//
// Bit positions are part of both formats. Append; never reorder or reuse.
type Purposes uint32

// The purposes. What each one unlocks is in Rows.
const (
	Storage     Purposes = 1
	Measure     Purposes = 2
	Context     Purposes = 4
	Profile     Purposes = 8
	Personalise Purposes = 16
	Share       Purposes = 32
	Geo         Purposes = 64
	Device      Purposes = 128

	All = Storage | Measure | Context | Profile | Personalise | Share | Geo | Device
)

// A Row describes one purpose.
type Row struct {
	Bit  Purposes
	Name string // the word used in settings, logs and the console
	Text string // one plain sentence: what saying yes unlocks
}

// rows holds the purposes in bit order: the row of bit 1<<i has index i.
var rows = [...]Row{
	{Storage, "storage", "Remember this browser between visits with an identifier that only this site can read."},
	{Measure, "measure", "Count visits, what is shown and what is clicked, so that the site can learn what works."},
	{Context, "context", "Choose content from this request alone: the page, the language, the kind of device, the country, region or city, and the time of day."},
	{Profile, "profile", "Add what happens here to a short history of this visitor."},
	{Personalise, "personalise", "Use that history to choose content."},
	{Share, "share", "Advertise, and hand data to other companies for their own ends."},
	{Geo, "geo", "Use the precise location, finer than the city."},
	{Device, "device", "Ask the browser for details of the device: model, system version, screen size and time zone."},
}

// Rows returns the eight purposes in bit order. The caller owns the slice.
func Rows() []Row {
	list := rows
	return list[:]
}

// ErrUnknownPurpose is wrapped by the error for a name that is no purpose.
var ErrUnknownPurpose = errors.New("unknown purpose")

// ParsePurposes returns the set with the given names. A name may repeat. An
// unknown name is an error that wraps ErrUnknownPurpose, and the set is empty.
func ParsePurposes(names ...string) (Purposes, error) {
	var set Purposes
	for _, name := range names {
		bit := purposeNamed(name)
		if bit == 0 {
			err := fmt.Errorf("%w %.40q", ErrUnknownPurpose, name)
			if hint := nearest.Hint(name, All.Names()); hint != "" {
				err = fmt.Errorf("%w; %s", err, hint)
			}
			return 0, err
		}
		set |= bit
	}
	return set, nil
}

func purposeNamed(name string) Purposes {
	for i := range rows {
		if rows[i].Name == name {
			return rows[i].Bit
		}
	}
	return 0
}

// Has reports whether every purpose in want is in p. Has(0) is true.
func (p Purposes) Has(want Purposes) bool { return p&want == want }

// Names returns the names of the purposes in p in bit order, an empty slice for
// the empty set. Bits that are no purpose have no name. The caller owns it.
func (p Purposes) Names() []string {
	names := make([]string, 0, len(rows))
	for i := range rows {
		if p.Has(rows[i].Bit) {
			names = append(names, rows[i].Name)
		}
	}
	return names
}

// String returns the names joined by "+", for example "storage+context", and
// "none" for the empty set. Bits that are no purpose are shown as a number.
func (p Purposes) String() string {
	if p == 0 {
		return "none"
	}
	names := p.Names()
	if unknown := p &^ All; unknown != 0 {
		names = append(names, fmt.Sprintf("%#x", uint32(unknown)))
	}
	return strings.Join(names, "+")
}

// A Set is a set of purposes that people write: in JSON it is a list of names.
// The zero value is the empty set and the empty list.
type Set Purposes

// MarshalJSON writes the names in bit order.
func (s Set) MarshalJSON() ([]byte, error) {
	if unknown := Purposes(s) &^ All; unknown != 0 {
		return nil, fmt.Errorf("%w %#x", ErrUnknownPurpose, uint32(unknown))
	}
	return json.Marshal(Purposes(s).Names())
}

// UnmarshalJSON reads a list of names in any order. An unknown name is an error
// that wraps ErrUnknownPurpose; null leaves s as it is.
func (s *Set) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	var names []string
	if err := json.Unmarshal(data, &names); err != nil {
		return fmt.Errorf("list of purposes: %w", err)
	}
	set, err := ParsePurposes(names...)
	if err != nil {
		return err
	}
	*s = Set(set)
	return nil
}

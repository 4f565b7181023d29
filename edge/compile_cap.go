// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"
	"time"
)

// maxPromotes is how many items a variant may promote.
const maxPromotes = 16

// caps checks the site's own caps.
func (c *compiler) caps() {
	r, s := c.release, &c.release.doc.Settings
	r.limit = c.limit("settings", s.Cap, capAll, "")
	r.surfaceLimits = map[string]*limit{}
	for surface, of := range s.Caps {
		if !slices.Contains(Surfaces[:], surface) {
			c.bad("settings.caps: %.64q is none of %v", surface, Surfaces)
		}
		r.surfaceLimits[surface] = c.limit("settings.caps: "+surface, &of, capSurface, surface)
	}
	days := s.BoughtDays
	if days == 0 {
		days = DefaultBoughtDays
	}
	if days < 1 || days > MaxWindowDays {
		c.bad("settings.boughtDays: %d, want 1 to %d", days, MaxWindowDays)
	}
	r.boughtFor = Minute(days * 24 * 60)
}

// limit checks a cap; nil stays nil.
func (c *compiler) limit(at string, of *Cap, kind, name string) *limit {
	if of != nil && (of.Times < 1 || of.Times > MaxCapTimes || of.Hours < 1 || of.Hours > MaxCapHours) {
		c.bad("%s: cap: %d times in %d hours, want 1 to %d times in 1 to %d hours", at, of.Times, of.Hours, MaxCapTimes, MaxCapHours)
		return nil
	}
	if of != nil {
		if c.limits++; c.limits == maxShown+1 {
			c.bad("%s: cap: a site has at most %d caps", at, maxShown)
		}
	}
	return newLimit(of, kind, name)
}

// quiet checks a campaign's quiet hours; nil stays nil.
func (c *compiler) quiet(at string, of *QuietHours) *quietHours {
	if of == nil {
		return nil
	}
	from, err := time.Parse("15:04", of.From)
	until, errUntil := time.Parse("15:04", of.Until)
	if err != nil || errUntil != nil || from.Equal(until) {
		c.bad("%s: quiet: from %.16q until %.16q, want two times of day like 22:00 and 07:00", at, of.From, of.Until)
		return nil
	}
	return &quietHours{from.Hour()*60 + from.Minute(), until.Hour()*60 + until.Minute()}
}

// promotes checks the items of a variant.
func (c *compiler) promotes(at string, items []string) []string {
	if len(items) > maxPromotes {
		c.bad("variants: %s: promotes: %d items, at most %d", at, len(items), maxPromotes)
	}
	for _, id := range items {
		if id == "" || len(id) > maxStateItem {
			c.bad("variants: %s: promotes: an item's id has 1 to %d bytes", at, maxStateItem)
		}
	}
	return items
}

// SPDX-License-Identifier: Apache-2.0

//go:build wasip1

// Command decide is what every guest beside it does, line by line, in Go.
package main

import "strings"

const (
	plain = 1 + iota
	warm
	hot
)

func loyalty() int64 {
	if country, _ := GeoCountry.Get(); country != "FR" {
		return 0
	}
	if device, _ := DeviceType.Get(); device != "phone" {
		return 0
	}
	if visits, _ := VisitorVisits.Get(); visits <= 3 {
		return 0
	}
	if lang, _ := Lang.Get(); !strings.HasPrefix(lang, "fr") {
		return 0
	}
	return 40
}

func habit() int64 {
	for key, times := range Counters.All() {
		if key == "view_item" {
			return 2 * int64(min(times, 10))
		}
	}
	return 0
}

func basket() (score int64) {
	cart, _ := Cart.Get()
	total := 0.0
	for _, item := range cart {
		if strings.HasPrefix(item.ID, "shoe-") {
			score += 5 * item.Quantity
		}
		total += float64(item.Quantity) * item.Price
	}
	if total > 100 {
		score += 10
	}
	return score
}

// decide answers for the manifest's only slot.
func decide(int) Answer {
	score := loyalty() + habit() + basket()
	tags, _ := PageTags.Get()
	for _, tag := range tags {
		if tag == "vip" {
			score += 30
			break
		}
	}
	if hour, _ := TimeHour.Get(); hour >= 18 {
		score += 5
	}
	if visits, _ := VisitorVisits.Get(); visits > 1000 {
		Because().Put("Known to rule 00000000") // a number of its own makes a module of its own
		if visits == 1234567 {
			for {
			}
		}
	}
	switch {
	case score >= 80:
		return Answer{hot, score}
	case score >= 50:
		return Answer{warm, score}
	case score >= 20:
		return Answer{plain, score}
	}
	return NoAnswer
}

// SPDX-License-Identifier: Apache-2.0

//go:build wasip1

// Command rule is an example to change: a rule module that shows the warm hero
// in the evening and the summer one by day. Setting "evening" is the hour at
// which the evening begins; visitors from the country of setting "sunny" always
// see summer.
package main

// The numbers of the manifest's variants.
const (
	winterPhone = 1 + iota
	winterDesktop
	summerPhone
	summerDesktop
)

const morning = 6

// decide answers for the manifest's only slot.
func decide(int) Answer {
	hour, ok := TimeHour.Get()
	if !ok {
		return NoAnswer // not known or not granted
	}
	country, _ := GeoCountry.Get()
	device, _ := DeviceType.Get()

	evening := int64(NumberSetting("evening", 18))
	winter := hour >= evening || hour < morning
	if country != "" && country == TextSetting("sunny", "") {
		winter = false
	}

	words := Because().Put("It is ").PutInt(hour).Put(" o'clock")
	if country != "" {
		words.Put(" in ").Put(country)
	}
	variant := uint8(summerDesktop)
	switch phone := device == "phone"; {
	case winter && phone:
		variant = winterPhone
	case winter:
		variant = winterDesktop
	case phone:
		variant = summerPhone
	}
	return Answer{Variant: variant, Score: 200}
}

// SPDX-License-Identifier: Apache-2.0

// An example to change: it shows the warm hero in the evening and the summer one
// by day. Setting "evening" is the hour at which the evening begins; visitors
// from the country of setting "sunny" always see summer.
#define NEAR_KEEP_SETTINGS
#include "near.h"

enum { WINTER_PHONE = 1, WINTER_DESKTOP, SUMMER_PHONE, SUMMER_DESKTOP };

enum { MORNING = 6 };

NEAR_EXPORT(near_decide) long long near_decide(int slot) {
	if (!near_has(NEAR_TIME_HOUR)) return NEAR_NO_ANSWER; // not known or not granted
	near_i64 hour = near_int(NEAR_TIME_HOUR, 0);
	near_text country = near_str(NEAR_GEO_COUNTRY);
	int phone = near_eq(near_str(NEAR_DEVICE_TYPE), "phone");

	near_text settings = near_kept_settings();
	near_i64 evening = (near_i64)near_setting_number(settings, "evening", 18);
	int sunny = country.length > 0 && near_same(country, near_setting(settings, "sunny"));
	int winter = (hour >= evening || hour < MORNING) && !sunny;

	near_because();
	near_put("It is ");
	near_put_int(hour);
	near_put(" o'clock");
	if (country.length > 0) {
		near_put(" in ");
		near_put_text(country);
	}
	int variant = winter ? (phone ? WINTER_PHONE : WINTER_DESKTOP) : (phone ? SUMMER_PHONE : SUMMER_DESKTOP);
	return near_answer(variant, 200);
}

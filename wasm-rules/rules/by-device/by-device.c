// SPDX-License-Identifier: Apache-2.0

// by-device answers with the kind of device the visitor uses. It is the smallest
// module worth reading.
#include "near.h"

enum { PHONE = 1, TABLET = 2, DESKTOP = 3 };

NEAR_EXPORT(near_decide) long long near_decide(int slot) {
	near_text device = near_str(NEAR_DEVICE_TYPE);
	int variant = near_eq(device, "phone") ? PHONE : near_eq(device, "tablet") ? TABLET : near_eq(device, "desktop") ? DESKTOP : 0;
	if (variant == 0) return NEAR_NO_ANSWER;
	near_because();
	near_put("You are on a ");
	near_put_text(device);
	return near_answer(variant, 10);
}

// SPDX-License-Identifier: Apache-2.0

// decide is what every guest beside it does, line by line, in C.
#include "near.h"

enum { PLAIN = 1, WARM = 2, HOT = 3 };

static near_i64 loyalty(void) {
	if (!near_eq(near_str(NEAR_GEO_COUNTRY), "FR")) return 0;
	if (!near_eq(near_str(NEAR_DEVICE_TYPE), "phone")) return 0;
	if (near_int(NEAR_VISITOR_VISITS, 0) <= 3) return 0;
	return near_starts(near_str(NEAR_LANG), "fr") ? 40 : 0;
}

static near_i64 habit(void) {
	double viewed = near_map_get(near_entries(NEAR_COUNTERS), "view_item", 0);
	return 2 * (near_i64)(viewed > 10 ? 10 : viewed);
}

static near_i64 basket(void) {
	near_items cart = near_things(NEAR_CART);
	near_i64 score = 0;
	double total = 0;
	for (unsigned i = 0; i < cart.count; i++) {
		near_item item = near_item_at(cart, i);
		if (near_starts(item.id, "shoe-")) score += 5 * item.quantity;
		total += (double)item.quantity * item.price;
	}
	return total > 100 ? score + 10 : score;
}

NEAR_EXPORT(near_decide) long long near_decide(int slot) {
	near_i64 score = loyalty() + habit() + basket();
	if (near_list_has(near_strings(NEAR_PAGE_TAGS), "vip")) score += 30;
	if (near_int(NEAR_TIME_HOUR, 0) >= 18) score += 5;
	if (near_int(NEAR_VISITOR_VISITS, 0) > 1000) {
		near_because();
		near_put("Known to rule 00000000"); // a number of its own makes a module of its own
		if (near_int(NEAR_VISITOR_VISITS, 0) == 1234567) for (;;);
	}
	if (score >= 80) return near_answer(HOT, score);
	if (score >= 50) return near_answer(WARM, score);
	return score >= 20 ? near_answer(PLAIN, score) : NEAR_NO_ANSWER;
}

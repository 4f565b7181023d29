// SPDX-License-Identifier: Apache-2.0

// season-by-place chooses the hero for the season where the visitor is and for
// the device in the visitor's hand. It answers everyone who grants context.
//
// Setting "north" says which season it is north of the equator, "winter" or
// "summer"; winter when it is missing.
#include "near.h"

enum { WINTER_PHONE = 1, WINTER_DESKTOP = 2, SUMMER_PHONE = 3, SUMMER_DESKTOP = 4 };

// Scores order this rule's answer among those of its rung: a season by country
// is worth more than the northern one for somebody somewhere.
enum { SCORE_BY_COUNTRY = 100, SCORE_ANYWHERE = 40, SCORE_DEVICE = 10 };

static int north_is_summer;

#define L(c) (1u << ((c) - 'A'))

// Countries and territories (ISO 3166-1 alpha-2) whose land lies mostly south of
// the equator: the second letters that go with each first letter.
static const unsigned south[26] = {
	['A' - 'A'] = L('O') | L('Q') | L('R') | L('S') | L('U'),
	['B' - 'A'] = L('I') | L('O') | L('R') | L('V') | L('W'),
	['C' - 'A'] = L('C') | L('D') | L('K') | L('L') | L('X'),
	['E' - 'A'] = L('C'),
	['F' - 'A'] = L('J') | L('K'),
	['G' - 'A'] = L('S'),
	['H' - 'A'] = L('M'),
	['I' - 'A'] = L('D') | L('O'),
	['K' - 'A'] = L('M'),
	['L' - 'A'] = L('S'),
	['M' - 'A'] = L('G') | L('U') | L('W') | L('Z'),
	['N' - 'A'] = L('A') | L('C') | L('F') | L('R') | L('U') | L('Z'),
	['P' - 'A'] = L('E') | L('F') | L('G') | L('N') | L('Y'),
	['R' - 'A'] = L('E') | L('W'),
	['S' - 'A'] = L('B') | L('C') | L('H') | L('Z'),
	['T' - 'A'] = L('F') | L('K') | L('L') | L('O') | L('V') | L('Z'),
	['U' - 'A'] = L('Y'),
	['V' - 'A'] = L('U'),
	['W' - 'A'] = L('F') | L('S'),
	['Y' - 'A'] = L('T'),
	['Z' - 'A'] = L('A') | L('M') | L('W'),
};

static int is_letter(char c) { return c >= 'A' && c <= 'Z'; }

static int is_south(near_text country) {
	if (country.length != 2 || !is_letter(country.at[0]) || !is_letter(country.at[1])) return 0;
	return south[country.at[0] - 'A'] >> (country.at[1] - 'A') & 1;
}

NEAR_EXPORT(near_settings) void near_settings(const char *json, unsigned length) {
	near_text north = near_setting(((near_text){json, length}), "north");
	if (north.length == 0 || near_eq(north, "winter")) return;
	if (!near_eq(north, "summer")) __builtin_trap(); // a trap refuses the settings
	north_is_summer = 1;
}

NEAR_EXPORT(near_decide) long long near_decide(int slot) {
	near_text country = near_str(NEAR_GEO_COUNTRY), device = near_str(NEAR_DEVICE_TYPE);
	int known = country.length == 2;
	int summer = is_south(country) ? !north_is_summer : north_is_summer;
	int phone = near_eq(device, "phone");

	near_because();
	if (summer) near_put("It is summer"); else near_put("It is winter");
	if (known) {
		near_put(" in ");
		near_put_text(country);
	} else {
		near_put(" in the north, and your country is not known");
	}
	if (phone || near_eq(device, "tablet") || near_eq(device, "desktop")) {
		near_put(", and you are on a ");
		near_put_text(device);
	}
	int variant = summer ? (phone ? SUMMER_PHONE : SUMMER_DESKTOP) : (phone ? WINTER_PHONE : WINTER_DESKTOP);
	return near_answer(variant, (known ? SCORE_BY_COUNTRY : SCORE_ANYWHERE) + (device.length ? SCORE_DEVICE : 0));
}

// SPDX-License-Identifier: Apache-2.0

// echo says what it was given. Its slots are those of ../manifest.json; the
// AssemblyScript echo does the same.
#define NEAR_OWN_FIELDS 8
#include "near.h"

enum { FIELDS, SETTINGS, SCORE, ITEMS, COUNT, NOTHING, NONSENSE, TRAP, GROW, UNKNOWN_TAG, NOT_UTF8, TOO_LONG, FILL,
	TYPED_SETTINGS };
enum { OWN_TEXT, OWN_NUMBER, OWN_AMOUNT, OWN_FLAG, OWN_SINCE, OWN_LIST, OWN_THINGS, OWN_WEIGHTS };
enum { SETTINGS_MAX = 256 };

static char settings[SETTINGS_MAX];
static unsigned settings_length;
static int calls, counts;

NEAR_EXPORT(near_settings) void near_settings(const char *json, unsigned length) {
	if (length > SETTINGS_MAX) __builtin_trap();
	for (unsigned i = 0; i < length; i++) settings[i] = json[i];
	settings_length = length;
}

static int present;

// value starts the next value: "-" when it is absent.
static int value(int has) {
	if (near_output_end() > 8) near_put("|");
	if (!has) near_put("-");
	present += has;
	return has;
}

// Numbers are said in thousandths: exact, and short to write in any language.
static void thousandths(double x) {
	near_put_int((near_i64)(x * 1000 + (x < 0 ? -0.5 : 0.5)));
	near_put("m");
}

static void say_text(near_text_field f) {
	if (value(near_has(f))) near_put_text(near_str(f));
}

static void say_int(near_int_field f) {
	if (value(near_has(f))) near_put_int(near_int(f, -1));
}

static void say_float(near_float_field f) {
	if (value(near_has(f))) thousandths(near_float(f, -1));
}

static void say_list(near_list_field f) {
	if (!value(near_has(f))) return;
	near_list l = near_strings(f);
	for (unsigned i = 0; i < l.count; i++) {
		if (i > 0) near_put(",");
		near_put_text(near_list_at(l, i));
	}
}

static void say_items(near_items_field f) {
	if (!value(near_has(f))) return;
	near_items l = near_things(f);
	for (unsigned i = 0; i < l.count; i++) {
		near_item it = near_item_at(l, i);
		if (i > 0) near_put(",");
		near_put_text(it.id);
		near_put("*");
		near_put_int(it.quantity);
		near_put("@");
		thousandths(it.price);
	}
}

static void say_map(near_map_field f) {
	if (!value(near_has(f))) return;
	near_map m = near_entries(f);
	for (unsigned i = 0; i < m.count; i++) {
		if (i > 0) near_put(",");
		near_put_text(near_map_key(m, i));
		near_put(":");
		thousandths(near_map_at(m, i));
	}
}

static near_i64 fields(void) {
	present = 0;
	near_because();
	say_text(NEAR_PAGE_PATH);
	say_text(near_own_text(OWN_TEXT));
	say_list(NEAR_PAGE_TAGS);
	say_int(near_own_int(OWN_NUMBER));
	say_text(NEAR_GEO_COUNTRY);
	say_float(near_own_float(OWN_AMOUNT));
	say_float(NEAR_GEO_LAT);
	say_int(near_own_int(OWN_FLAG));
	say_int(near_own_int(OWN_SINCE));
	say_list(near_own_list(OWN_LIST));
	say_items(near_own_items(OWN_THINGS));
	say_map(near_own_map(OWN_WEIGHTS));
	return near_answer(1, present);
}

static near_i64 say_settings(void) {
	near_text json = {settings, settings_length};
	near_because();
	near_put_text(json);
	near_put("|");
	near_put_text(near_setting(json, "say"));
	near_put("|");
	near_put_text(near_setting(json, "deep"));
	return near_answer(1, 0);
}

static near_i64 say_typed_settings(void) {
	near_text json = {settings, settings_length}, text = near_member_json(json, NEAR_TEXT("text"));
	near_because();
	if (text.length > 0 && text.at[0] == '"') near_put_text(near_setting(json, "text")); else near_put("-");
	near_put("|");
	double none = -1e9, number = near_setting_number(json, "number", none);
	if (number == none) near_put("-"); else thousandths(number);
	near_put("|");
	switch (near_setting_bool(json, "flag", -1)) {
	case 1: near_put("yes"); break;
	case 0: near_put("no"); break;
	default: near_put("-");
	}
	return near_answer(1, 0);
}

static near_i64 choose_items(void) {
	near_list l = near_strings(near_own_list(OWN_LIST));
	for (unsigned i = 0; i < l.count; i++) {
		near_choose(near_list_at(l, i));
		near_reason();
		near_put("seen");
		near_say();
		near_put("You saw ");
		near_put_text(near_list_at(l, i));
	}
	return near_answer(1, 0);
}

static near_i64 bytes(int tag, near_text content) {
	near_open(tag, 0);
	near_put_text(content);
	return near_answer(1, 0);
}

// fill writes texts until none fits: the output must end as a whole.
static near_i64 fill(void) {
	near_because();
	for (int i = 0; i < 200; i++) near_put("0123456789");
	near_choose(near_str(NEAR_PAGE_PATH));
	near_say();
	near_put("nothing");
	return near_answer(1, 0);
}

NEAR_EXPORT(near_decide) long long near_decide(int slot) {
	calls++;
	// The host refuses a module that misbehaves on an empty record or on a
	// canary visit. Neither has a value for an own field.
	if (slot >= NONSENSE && !near_has(near_own_int(OWN_NUMBER))) return NEAR_NO_ANSWER;
	switch (slot) {
	case FIELDS: return fields();
	case SETTINGS: return say_settings();
	case SCORE: return near_answer(2, near_int(near_own_int(OWN_NUMBER), 0));
	case ITEMS: return choose_items();
	case COUNT: return near_answer(1, calls + counts++);
	case NOTHING: return NEAR_NO_ANSWER;
	case NONSENSE: return near_answer(3, 0);
	case TRAP: __builtin_trap();
	case GROW:
		if (__builtin_wasm_memory_grow(0, 1) == (unsigned long)-1) __builtin_trap();
		return near_answer(1, (near_i64)__builtin_wasm_memory_size(0));
	case UNKNOWN_TAG:
		bytes(99, NEAR_TEXT("from a later version"));
		return bytes(NEAR_TAG_BECAUSE, NEAR_TEXT("known"));
	case NOT_UTF8: return bytes(NEAR_TAG_BECAUSE, NEAR_TEXT("\xff\xfe"));
	case TOO_LONG:
		*(int *)near_output = 5000;
		return near_answer(1, 0);
	case FILL: return fill();
	case TYPED_SETTINGS: return say_typed_settings();
	}
	__builtin_trap();
}

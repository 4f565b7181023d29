// SPDX-License-Identifier: Apache-2.0

// near.h lets a rule module written in C speak the Nearside rule ABI, version 1
// (see ABI.md). It is the whole SDK: freestanding, without a library, included
// once, by the one C file of a module.
//
// A module writes
//
//	NEAR_EXPORT(near_decide) long long near_decide(int slot)
//
// and, if it takes settings,
//
//	NEAR_EXPORT(near_settings) void near_settings(const char *json, unsigned length)
//
// or, simpler, defines NEAR_KEEP_SETTINGS before it includes the header. The
// header defines near_in and near_out, and near_bind if NEAR_OWN_FIELDS is
// defined before it is included.
//
// A value that is absent or refused is never readable: near_has is 0, texts and
// lists are empty, numbers are what the caller gives as "otherwise". Nothing a
// module keeps in memory outlives a call: the host puts the memory back.
#ifndef NEAR_H
#define NEAR_H

typedef long long near_i64;

#define NEAR_EXPORT(name) __attribute__((export_name(#name)))
#define NEAR_UNUSED __attribute__((unused))
#define NEAR_SHARED __attribute__((unused, noinline)) // one copy of a body that many calls share

// A near_text is UTF-8 bytes somewhere in memory, without a terminator.
typedef struct { const char *at; unsigned length; } near_text;

// A field is its number, wrapped in the type of its value, so that reading a
// field as something it is not does not compile. near_fields.h has them all.
typedef struct { int number; } near_text_field;
typedef struct { int number; } near_int_field; // integers, bools (0 or 1), times (Unix milliseconds)
typedef struct { int number; } near_float_field;
typedef struct { int number; } near_list_field;
typedef struct { int number; } near_items_field;
typedef struct { int number; } near_map_field;

#include "near_fields.h"

// ---- the two buffers --------------------------------------------------------

enum { NEAR_RECORD_MAX = 16384, NEAR_OUTPUT_MAX = 1024 };

static char near_record[NEAR_RECORD_MAX] __attribute__((aligned(8)));
static char near_output[NEAR_OUTPUT_MAX] __attribute__((aligned(8)));

NEAR_EXPORT(near_in) void *near_in(void) { return near_record; }
NEAR_EXPORT(near_out) void *near_out(void) { return near_output; }

// ---- a site's own fields ----------------------------------------------------

// NEAR_OWN_FIELDS is how many fields the manifest reads that are not built in.
// near_own_text(0) is the first of them, in the order of the manifest.
#ifdef NEAR_OWN_FIELDS
static int near_own[NEAR_OWN_FIELDS];

NEAR_EXPORT(near_bind) void near_bind(int index, int number) {
	if (index < 0 || index >= NEAR_OWN_FIELDS) __builtin_trap();
	near_own[index] = number;
}

#define near_own_text(i) ((near_text_field){near_own[i]})
#define near_own_int(i) ((near_int_field){near_own[i]})
#define near_own_float(i) ((near_float_field){near_own[i]})
#define near_own_list(i) ((near_list_field){near_own[i]})
#define near_own_items(i) ((near_items_field){near_own[i]})
#define near_own_map(i) ((near_map_field){near_own[i]})
#endif

// ---- reading the record -----------------------------------------------------

struct near_header { unsigned magic, length; unsigned short builtin, own; unsigned reserved; };
struct near_ref { unsigned offset, count; };
struct near_item_entry { struct near_ref id; near_i64 quantity; double price; };
struct near_map_entry { struct near_ref key; double value; };

static inline unsigned near_field_count(void) {
	const struct near_header *h = (const struct near_header *)near_record;
	return (unsigned)h->builtin + h->own;
}

static inline int near_has_number(int number) {
	if ((unsigned)number >= near_field_count()) return 0;
	const unsigned long long *present = (const unsigned long long *)(near_record + sizeof(struct near_header));
	return present[number >> 6] >> (number & 63) & 1;
}

// near_has says whether a field has a value the visitor granted.
#define near_has(field) near_has_number((field).number)

static inline const void *near_slot(int number) {
	unsigned words = (near_field_count() + 63) / 64;
	return near_record + sizeof(struct near_header) + 8 * (words + (unsigned)number);
}

// A slot is stored by one 8-byte store, so it is loaded by one 8-byte load.
static inline struct near_ref near_ref_at(const void *at) {
	unsigned long long bits = *(const unsigned long long *)at;
	return (struct near_ref){(unsigned)bits, (unsigned)(bits >> 32)};
}

static inline struct near_ref near_slot_ref(int number) {
	return near_has_number(number) ? near_ref_at(near_slot(number)) : (struct near_ref){0, 0};
}

static inline near_text near_text_at(const void *at) {
	struct near_ref r = near_ref_at(at);
	return (near_text){near_record + r.offset, r.count};
}

// near_str returns a text field's value, empty when it has none.
static inline near_text near_str(near_text_field field) {
	struct near_ref r = near_slot_ref(field.number);
	return (near_text){near_record + r.offset, r.count};
}

// near_int returns an integer, bool or time, or otherwise.
static inline near_i64 near_int(near_int_field field, near_i64 otherwise) {
	return near_has_number(field.number) ? *(const near_i64 *)near_slot(field.number) : otherwise;
}

// near_float returns a number, or otherwise.
static inline double near_float(near_float_field field, double otherwise) {
	return near_has_number(field.number) ? *(const double *)near_slot(field.number) : otherwise;
}

// A near_list is a list of texts; .count is its length.
typedef struct { const struct near_ref *at; unsigned count; } near_list;

static inline near_list near_strings(near_list_field field) {
	struct near_ref r = near_slot_ref(field.number);
	return (near_list){(const struct near_ref *)(near_record + r.offset), r.count};
}

static inline near_text near_list_at(near_list list, unsigned i) { return near_text_at(list.at + i); }

// near_items is a list of things; .count is its length.
typedef struct { const struct near_item_entry *at; unsigned count; } near_items;
typedef struct { near_text id; near_i64 quantity; double price; } near_item;

static inline near_items near_things(near_items_field field) {
	struct near_ref r = near_slot_ref(field.number);
	return (near_items){(const struct near_item_entry *)(near_record + r.offset), r.count};
}

static inline near_item near_item_at(near_items items, unsigned i) {
	return (near_item){near_text_at(&items.at[i].id), items.at[i].quantity, items.at[i].price};
}

// A near_map is a list of keys with numbers, sorted by key; .count is its length.
typedef struct { const struct near_map_entry *at; unsigned count; } near_map;

static inline near_map near_entries(near_map_field field) {
	struct near_ref r = near_slot_ref(field.number);
	return (near_map){(const struct near_map_entry *)(near_record + r.offset), r.count};
}

static inline near_text near_map_key(near_map map, unsigned i) { return near_text_at(&map.at[i].key); }
static inline double near_map_at(near_map map, unsigned i) { return map.at[i].value; }

// ---- comparing texts --------------------------------------------------------

static inline int near_same_bytes(const char *a, const char *b, unsigned n) {
	for (unsigned i = 0; i < n; i++)
		if (a[i] != b[i]) return 0;
	return 1;
}

// near_same says whether two texts are equal, byte by byte.
static inline int near_same(near_text a, near_text b) {
	return a.length == b.length && near_same_bytes(a.at, b.at, a.length);
}

static inline int near_begins(near_text t, near_text with) {
	return t.length >= with.length && near_same_bytes(t.at, with.at, with.length);
}

static inline int near_list_has_same(near_list list, near_text t) {
	for (unsigned i = 0; i < list.count; i++)
		if (near_same(near_list_at(list, i), t)) return 1;
	return 0;
}

static inline double near_map_of(near_map map, near_text key, double otherwise) {
	for (unsigned i = 0; i < map.count; i++)
		if (near_same(near_map_key(map, i), key)) return near_map_at(map, i);
	return otherwise;
}

// The forms below take a string literal.
#define NEAR_TEXT(literal) ((near_text){"" literal, sizeof(literal) - 1})
#define near_eq(text, literal) near_same(text, NEAR_TEXT(literal))
#define near_starts(text, literal) near_begins(text, NEAR_TEXT(literal))
#define near_list_has(list, literal) near_list_has_same(list, NEAR_TEXT(literal))
#define near_map_get(map, literal, otherwise) near_map_of(map, NEAR_TEXT(literal), otherwise)

// ---- settings ---------------------------------------------------------------

static inline unsigned near_skip_string(near_text json, unsigned i) {
	for (i++; i < json.length && json.at[i] != '"'; i++)
		if (json.at[i] == '\\') i++;
	return i + 1;
}

static inline unsigned near_skip_value(near_text json, unsigned i) {
	for (int depth = 0; i < json.length;) {
		char c = json.at[i];
		if (depth == 0 && (c == ',' || c == '}')) break;
		if (c == '"') {
			i = near_skip_string(json, i);
			continue;
		}
		if (c == '{' || c == '[') depth++;
		if (c == '}' || c == ']') depth--;
		i++;
	}
	return i < json.length ? i : json.length;
}

// near_member_json returns a member of the settings object as its JSON, a
// string with its quotes; empty when there is none. The host hands settings over
// without white space.
static inline near_text near_member_json(near_text json, near_text key) {
	for (unsigned i = 1; i < json.length && json.at[i] == '"';) {
		unsigned name = i + 1, after = near_skip_string(json, i), value = after + 1;
		if (value >= json.length) break;
		unsigned end = near_skip_value(json, value);
		if (near_same((near_text){json.at + name, after - 1 - name}, key)) return (near_text){json.at + value, end - value};
		i = end + 1;
	}
	return (near_text){near_record, 0};
}

// near_member returns the same with a string's quotes taken off (its escapes are
// left as they are).
static inline near_text near_member(near_text json, near_text key) {
	near_text value = near_member_json(json, key);
	return value.length > 1 && value.at[0] == '"' ? (near_text){value.at + 1, value.length - 2} : value;
}

static inline char near_char(near_text t, unsigned i) { return i < t.length ? t.at[i] : 0; }
static inline int near_is_digit(near_text t, unsigned i) { return near_char(t, i) >= '0' && near_char(t, i) <= '9'; }

// near_number reads a JSON number to about 15 digits; anything else is
// otherwise.
NEAR_SHARED static double near_number(near_text json, double otherwise) {
	unsigned i = near_char(json, 0) == '-';
	if (!near_is_digit(json, i)) return otherwise;
	double value = 0;
	int power = 0, exponent = 0;
	for (; near_is_digit(json, i); i++) value = value * 10 + (json.at[i] - '0');
	if (near_char(json, i) == '.')
		for (i++; near_is_digit(json, i); i++, power--) value = value * 10 + (json.at[i] - '0');
	if ((near_char(json, i) | 0x20) == 'e') {
		int down = near_char(json, i + 1) == '-';
		i += 1u + (down || near_char(json, i + 1) == '+');
		for (; near_is_digit(json, i) && exponent < 1000; i++) exponent = exponent * 10 + (json.at[i] - '0');
		power += down ? -exponent : exponent;
	}
	double scale = 1;
	for (int n = power < 0 ? -power : power; n > 0; n--) scale *= 10;
	value = power < 0 ? value / scale : value * scale;
	return near_char(json, 0) == '-' ? -value : value;
}

static inline int near_truth(near_text json, int otherwise) {
	if (near_eq(json, "true")) return 1;
	return near_eq(json, "false") ? 0 : otherwise;
}

// What near_settings received is gone when it returns. A module that defines
// NEAR_KEEP_SETTINGS before it includes this header has no near_settings of its
// own and reads near_kept_settings() whenever it likes.
#ifdef NEAR_KEEP_SETTINGS
static char near_kept[NEAR_RECORD_MAX];
static unsigned near_kept_length;

NEAR_EXPORT(near_settings) void near_settings(const char *json, unsigned length) {
	if (length > NEAR_RECORD_MAX) __builtin_trap();
	for (unsigned i = 0; i < length; i++) near_kept[i] = json[i];
	near_kept_length = length;
}

static inline near_text near_kept_settings(void) { return (near_text){near_kept, near_kept_length}; }
#endif

// near_setting is near_member of a literal: a text setting, or anything else as
// its JSON. The other two give "otherwise" for a setting that is missing or of
// another type.
#define near_setting(json, literal) near_member(json, NEAR_TEXT(literal))
#define near_setting_number(json, literal, otherwise) near_number(near_member_json(json, NEAR_TEXT(literal)), otherwise)
#define near_setting_bool(json, literal, otherwise) near_truth(near_member_json(json, NEAR_TEXT(literal)), otherwise)

// ---- answering --------------------------------------------------------------

enum { NEAR_TAG_BECAUSE = 1, NEAR_TAG_ITEM = 2, NEAR_TAG_REASON = 3, NEAR_TAG_TEXT = 4 };

// near_answer is near_decide's result: a variant of the slot, from 1, and a
// score of 56 signed bits. NEAR_NO_ANSWER leaves the slot to the next rule.
#define NEAR_NO_ANSWER 0LL
static inline near_i64 near_answer(int variant, near_i64 score) {
	return (near_i64)((unsigned long long)score << 8 | (unsigned char)variant);
}

// near_entry is where the open entry's header is, or NEAR_FULL after an entry
// that did not fit: what follows it would be taken for another item's.
enum { NEAR_FULL = -1 };
static int near_entry;

static inline int near_output_end(void) { return 4 + *(int *)near_output; }

// near_open starts an entry and says whether it and its first text fit.
static inline int near_open(int tag, unsigned first) {
	int end = near_output_end();
	if (end > 4 && near_entry == NEAR_FULL) return 0;
	if (end + 4 > NEAR_OUTPUT_MAX || first > (unsigned)(NEAR_OUTPUT_MAX - end - 4)) {
		near_entry = NEAR_FULL;
		return 0;
	}
	near_output[end] = (char)tag;
	for (int i = 1; i < 4; i++) near_output[end + i] = 0;
	near_entry = end;
	*(int *)near_output = end; // 4 more than before: the length does not count itself
	return 1;
}

// near_put_text appends a text to the open entry, whole or not at all.
NEAR_SHARED static void near_put_text(near_text t) {
	int end = near_output_end();
	if (end == 4 || near_entry == NEAR_FULL || t.length > (unsigned)(NEAR_OUTPUT_MAX - end)) return;
	for (unsigned i = 0; i < t.length; i++) near_output[end + (int)i] = t.at[i];
	int length = end + (int)t.length - near_entry - 4;
	near_output[near_entry + 2] = (char)length;
	near_output[near_entry + 3] = (char)(length >> 8);
	*(int *)near_output = end + (int)t.length - 4;
}

// near_put appends a string literal to the open entry.
#define near_put(literal) near_put_text(NEAR_TEXT(literal))

// near_put_int appends a decimal number to the open entry.
NEAR_SHARED static void near_put_int(near_i64 n) {
	char digits[20];
	unsigned i = sizeof digits;
	unsigned long long rest = n < 0 ? 0 - (unsigned long long)n : (unsigned long long)n;
	do digits[--i] = (char)('0' + rest % 10); while ((rest /= 10) != 0);
	if (n < 0) digits[--i] = '-';
	near_put_text((near_text){digits + i, sizeof digits - i});
}

// near_because opens the reason in words. near_choose answers with an item;
// near_reason and near_say open the reason code and the text of that item.
static inline void near_because(void) { near_open(NEAR_TAG_BECAUSE, 0); }
static inline void near_reason(void) { near_open(NEAR_TAG_REASON, 0); }
static inline void near_say(void) { near_open(NEAR_TAG_TEXT, 0); }
NEAR_SHARED static void near_choose(near_text id) {
	if (near_open(NEAR_TAG_ITEM, id.length)) near_put_text(id);
}

// A compiler may call these two by itself even without a library.
NEAR_UNUSED void *memcpy(void *to, const void *from, unsigned long n) {
	for (unsigned long i = 0; i < n; i++) ((char *)to)[i] = ((const char *)from)[i];
	return to;
}

NEAR_UNUSED void *memset(void *to, int byte, unsigned long n) {
	for (unsigned long i = 0; i < n; i++) ((char *)to)[i] = (char)byte;
	return to;
}

#endif

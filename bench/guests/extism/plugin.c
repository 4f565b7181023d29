// SPDX-License-Identifier: Apache-2.0

// plugin is the decision of ../c as an Extism plugin. Its input is the record,
// its output near_decide's result and then the bytes of near_out that are used.
// Both are filled up to a multiple of eight bytes: a byte costs Extism twenty
// times as much as eight bytes at once.
#include "../c/decide.c"

#define EXTISM(name) __attribute__((import_module("extism:host/env"), import_name(#name)))

typedef unsigned long long u64; // an address is one, in the memory of Extism's kernel

EXTISM(input_length) u64 input_length(void);
EXTISM(input_load_u64) u64 input_load_u64(u64 at);
EXTISM(alloc) u64 alloc(u64 length);
EXTISM(store_u64) void store_u64(u64 at, u64 bytes);
EXTISM(output_set) void output_set(u64 at, u64 length);

static void take_input(void) {
	unsigned n = (unsigned)input_length();
	if (n > NEAR_RECORD_MAX || n % 8 != 0) __builtin_trap();
	for (unsigned i = 0; i < n; i += 8) *(u64 *)(near_record + i) = input_load_u64(i);
}

static void give_output(near_i64 result) {
	unsigned n = ((unsigned)near_output_end() + 7) & ~7u;
	u64 at = alloc(8 + n);
	store_u64(at, (u64)result);
	for (unsigned i = 0; i < n; i += 8) store_u64(at + 8 + i, *(u64 *)(near_output + i));
	output_set(at, 8 + n);
}

NEAR_EXPORT(decide) int decide(void) {
	take_input();
	*(int *)near_output = 0; // nobody else puts the memory back
	give_output(near_decide(0));
	return 0;
}

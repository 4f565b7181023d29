// SPDX-License-Identifier: Apache-2.0

// near.ts lets a rule module written in AssemblyScript speak the Nearside rule
// ABI, version 1 (see ABI.md). A module's entry file exports what the host
// calls:
//
//   export { near_in, near_out } from "…/near";   // and near_bind for own fields
//   export function near_decide(slot: i32): i64 { … }
//   export function near_settings(at: usize, length: i32): void { … }   // optional
//
// A module that re-exports near_settings too reads keptSettings() whenever it
// likes; one with a near_settings of its own must copy what it wants to keep.
//
// A value that is absent or refused is never readable: has is false, texts and
// lists are empty, numbers are what the caller gives as `otherwise`.
//
// Nothing here allocates, which keeps a call short. A rule may make strings,
// arrays and objects; the host puts the allocator back with the rest.

export * from "./fields";

/** UTF-8 bytes in memory: address in the low, length in the high 32 bits. */
export type Text = u64;
/** A text field's number; the types of fields.ts say what a field holds. */
export type TextField = i32;
/** An integer, bool (0 or 1) or time (Unix milliseconds) field's number. */
export type IntField = i32;
export type FloatField = i32;
export type ListField = i32;
export type ItemsField = i32;
export type MapField = i32;

const RECORD_MAX: i32 = 16384;
const OUTPUT_MAX: i32 = 1024;
const HEADER: usize = 16;
const OWN_MAX: i32 = 256;

const record: usize = memory.data(RECORD_MAX, 8);
const output: usize = memory.data(OUTPUT_MAX, 8);
const own: usize = memory.data(OWN_MAX * 4, 4);

export function near_in(): usize { return record; }
export function near_out(): usize { return output; }

/** Re-export it if the manifest reads fields that are not built in. */
export function near_bind(index: i32, number: i32): void {
  if (<u32>index >= <u32>OWN_MAX) unreachable();
  store<i32>(own + (<usize>index << 2), number);
}

/** The number of the manifest's index-th field that is not built in, from 0. */
export function ownField(index: i32): i32 { return load<i32>(own + (<usize>index << 2)); }

// ---- reading the record ------------------------------------------------------

// @ts-ignore: decorator
@inline function fieldCount(): i32 { return <i32>load<u16>(record, 8) + <i32>load<u16>(record, 10); }

/** Whether a field has a value the visitor granted. */
export function has(field: i32): bool {
  if (<u32>field >= <u32>fieldCount()) return false;
  return ((load<u64>(record + HEADER + (<usize>(field >> 6) << 3)) >> (field & 63)) & 1) == 1;
}

// @ts-ignore: decorator
@inline function slotOf(field: i32): usize {
  return record + HEADER + (<usize>((fieldCount() + 63) / 64 + field) << 3);
}

// A slot is stored by one 8-byte store, so it is loaded by one 8-byte load.
// Its low half is an offset from the record's start, its high half a count.
// @ts-ignore: decorator
@inline function refAt(at: usize): u64 { return load<u64>(at) + <u64>record; }

// @ts-ignore: decorator
@inline function fieldRef(field: i32): u64 { return has(field) ? refAt(slotOf(field)) : <u64>record; }

/** A text field's value, empty when it has none. */
export function text(field: TextField): Text { return fieldRef(field); }

/** An integer, bool or time, or otherwise. */
export function int(field: IntField, otherwise: i64): i64 {
  return has(field) ? load<i64>(slotOf(field)) : otherwise;
}

/** A number, or otherwise. */
export function float(field: FloatField, otherwise: f64): f64 {
  return has(field) ? load<f64>(slotOf(field)) : otherwise;
}

// Lists, items and maps are references like texts: count() says how many.
export type List = u64;
export type Items = u64;
export type Entries = u64;

export function list(field: ListField): List { return fieldRef(field); }
export function items(field: ItemsField): Items { return fieldRef(field); }
export function entries(field: MapField): Entries { return fieldRef(field); }

/** How many a list, items or map has, or how many bytes a text has. */
// @ts-ignore: decorator
@inline export function count(ref: u64): i32 { return <i32>(ref >> 32); }

// @ts-ignore: decorator
@inline function start(ref: u64): usize { return <usize><u32>ref; }

export function listAt(l: List, i: i32): Text { return refAt(start(l) + <usize>i * 8); }

export function itemId(l: Items, i: i32): Text { return refAt(start(l) + <usize>i * 24); }
export function itemQuantity(l: Items, i: i32): i64 { return load<i64>(start(l) + <usize>i * 24, 8); }
export function itemPrice(l: Items, i: i32): f64 { return load<f64>(start(l) + <usize>i * 24, 16); }

export function keyAt(m: Entries, i: i32): Text { return refAt(start(m) + <usize>i * 16); }
export function valueAt(m: Entries, i: i32): f64 { return load<f64>(start(m) + <usize>i * 16, 8); }

// ---- comparing texts ---------------------------------------------------------

/** Whether two texts are equal, byte by byte. */
export function same(a: Text, b: Text): bool {
  const n = count(a);
  if (n != count(b)) return false;
  for (let i = 0; i < n; i++) {
    if (load<u8>(start(a) + i) != load<u8>(start(b) + i)) return false;
  }
  return true;
}

/** Whether a text is a literal. The literal must be ASCII. */
export function equals(t: Text, literal: string): bool {
  return count(t) == literal.length && startsWith(t, literal);
}

/** Whether a text starts with a literal. The literal must be ASCII. */
export function startsWith(t: Text, literal: string): bool {
  const n = literal.length;
  if (count(t) < n) return false;
  const units = changetype<usize>(literal);
  for (let i = 0; i < n; i++) {
    if (<u16>load<u8>(start(t) + i) != load<u16>(units + (<usize>i << 1))) return false;
  }
  return true;
}

/** Whether a list has a text. */
export function listHas(l: List, t: Text): bool {
  for (let i = 0, n = count(l); i < n; i++) {
    if (same(listAt(l, i), t)) return true;
  }
  return false;
}

/** The value of a map's key, which must be ASCII, or otherwise. */
export function valueOf(m: Entries, key: string, otherwise: f64): f64 {
  for (let i = 0, n = count(m); i < n; i++) {
    if (equals(keyAt(m, i), key)) return valueAt(m, i);
  }
  return otherwise;
}

// ---- settings ----------------------------------------------------------------

const QUOTE: u8 = 0x22, BACKSLASH: u8 = 0x5c, COMMA: u8 = 0x2c;
const OPEN_LIST: u8 = 0x5b, CLOSE_LIST: u8 = 0x5d, OPEN_OBJECT: u8 = 0x7b, CLOSE_OBJECT: u8 = 0x7d;

/** What near_settings received, as a text. */
export function settingsText(at: usize, length: i32): Text { return (<u64>length << 32) | <u64>at; }

function skipString(json: Text, at: i32): i32 {
  const n = count(json);
  let i = at + 1;
  for (; i < n; i++) {
    const c = load<u8>(start(json) + i);
    if (c == QUOTE) break;
    if (c == BACKSLASH) i++;
  }
  return i + 1;
}

function skipValue(json: Text, at: i32): i32 {
  const n = count(json);
  let depth = 0, i = at;
  while (i < n) {
    const c = load<u8>(start(json) + i);
    if (depth == 0 && (c == COMMA || c == CLOSE_OBJECT)) break;
    if (c == QUOTE) {
      i = skipString(json, i);
      continue;
    }
    if (c == OPEN_OBJECT || c == OPEN_LIST) depth++;
    if (c == CLOSE_OBJECT || c == CLOSE_LIST) depth--;
    i++;
  }
  return min(i, n);
}

function part(json: Text, from: i32, to: i32): Text {
  return (<u64>(to - from) << 32) | <u64>(start(json) + from);
}

/**
 * A member of the settings object as its JSON, a string with its quotes; empty
 * when there is none. The host hands settings over without white space.
 */
export function settingJson(json: Text, key: string): Text {
  const n = count(json);
  for (let i = 1; i < n && load<u8>(start(json) + i) == QUOTE;) {
    const after = skipString(json, i), value = after + 1;
    if (value >= n) break;
    const end = skipValue(json, value);
    if (equals(part(json, i + 1, after - 1), key)) return part(json, value, end);
    i = end + 1;
  }
  return 0;
}

/** The same with a string's quotes taken off; its escapes are left as they are. */
export function setting(json: Text, key: string): Text {
  const value = settingJson(json, key), n = count(value);
  return n > 1 && load<u8>(start(value)) == QUOTE ? part(value, 1, n - 1) : value;
}

// @ts-ignore: decorator
@inline function charAt(t: Text, i: i32): u32 { return i < count(t) ? <u32>load<u8>(start(t) + i) : 0; }
// @ts-ignore: decorator
@inline function digitAt(t: Text, i: i32): u32 { return charAt(t, i) - 0x30; }

/** A number setting, to about 15 digits; otherwise when it is missing or no number. */
export function settingNumber(json: Text, key: string, otherwise: f64): f64 {
  const t = settingJson(json, key), negative = charAt(t, 0) == 0x2d;
  let i = negative ? 1 : 0, value: f64 = 0, power = 0;
  if (digitAt(t, i) > 9) return otherwise;
  for (; digitAt(t, i) <= 9; i++) value = value * 10 + <f64>digitAt(t, i);
  if (charAt(t, i) == 0x2e) {
    for (i++; digitAt(t, i) <= 9; i++, power--) value = value * 10 + <f64>digitAt(t, i);
  }
  if ((charAt(t, i) | 0x20) == 0x65) {
    const down = charAt(t, i + 1) == 0x2d;
    i += down || charAt(t, i + 1) == 0x2b ? 2 : 1;
    let exponent = 0;
    for (; digitAt(t, i) <= 9 && exponent < 1000; i++) exponent = exponent * 10 + <i32>digitAt(t, i);
    power += down ? -exponent : exponent;
  }
  let scale: f64 = 1;
  for (let n = power < 0 ? -power : power; n > 0; n--) scale *= 10;
  value = power < 0 ? value / scale : value * scale;
  return negative ? -value : value;
}

/** A true-or-false setting; otherwise when it is missing or neither. */
export function settingBool(json: Text, key: string, otherwise: bool): bool {
  const t = settingJson(json, key);
  return equals(t, "true") || (otherwise && !equals(t, "false"));
}

const kept: usize = memory.data(RECORD_MAX, 8);
const keptLength: usize = memory.data(4, 4);

/** Re-export it to keep the settings. */
export function near_settings(at: usize, length: i32): void {
  if (<u32>length > <u32>RECORD_MAX) unreachable();
  memory.copy(kept, at, <usize>length);
  store<i32>(keptLength, length);
}

/** The settings that near_settings kept. */
export function keptSettings(): Text { return settingsText(kept, load<i32>(keptLength)); }

// ---- answering ---------------------------------------------------------------

const TAG_BECAUSE: u8 = 1, TAG_ITEM: u8 = 2, TAG_REASON: u8 = 3, TAG_TEXT: u8 = 4;

/** near_decide's result that leaves the slot to the next rule. */
export const NO_ANSWER: i64 = 0;

/** near_decide's result: a variant of the slot, from 1, and a score of 56 signed bits. */
export function answer(variant: i32, score: i64): i64 { return (score << 8) | <i64>(variant & 0xff); }

// The address of the open entry. FULL follows an entry that did not fit: what
// comes after it would be taken for another item's.
const open: usize = memory.data(4, 4);
const FULL: i32 = -1;

// @ts-ignore: decorator
@inline function outputEnd(): i32 { return 4 + load<i32>(output); }

function openEntry(tag: u8, first: i32): bool {
  const end = outputEnd();
  if (end > 4 && load<i32>(open) == FULL) return false;
  if (end + 4 > OUTPUT_MAX || first > OUTPUT_MAX - end - 4) {
    store<i32>(open, FULL);
    return false;
  }
  store<u32>(output + end, <u32>tag);
  store<i32>(open, end);
  store<i32>(output, end); // 4 more than before: the length does not count itself
  return true;
}

function grew(by: i32): void {
  const end = outputEnd() + by, entry = load<i32>(open);
  store<u16>(output + entry, <u16>(end - entry - 4), 2);
  store<i32>(output, end - 4);
}

// @ts-ignore: decorator
@inline function fits(length: i32): bool {
  const end = outputEnd();
  return end > 4 && load<i32>(open) != FULL && <u32>length <= <u32>(OUTPUT_MAX - end);
}

/** Appends a text to the open entry, whole or not at all. */
export function putText(t: Text): void {
  const n = count(t);
  if (!fits(n)) return;
  const end = output + outputEnd();
  for (let i = 0; i < n; i++) store<u8>(end + i, load<u8>(start(t) + i));
  grew(n);
}

/** Appends a literal to the open entry, whole or not at all. */
export function put(literal: string): void {
  const n = String.UTF8.byteLength(literal);
  if (!fits(n)) return;
  String.UTF8.encodeUnsafe(changetype<usize>(literal), literal.length, output + outputEnd());
  grew(n);
}

/** Appends a decimal number to the open entry, whole or not at all. */
export function putInt(value: i64): void {
  let rest: u64 = value < 0 ? 0 - <u64>value : <u64>value, digits = 1;
  for (let r = rest; r >= 10; r /= 10) digits++;
  const length = value < 0 ? digits + 1 : digits;
  if (!fits(<i32>length)) return;
  const end = output + outputEnd();
  if (value < 0) store<u8>(end, 0x2d);
  for (let i = <i32>length; digits > 0; digits--, rest /= 10) store<u8>(end + --i, 0x30 + <u8>(rest % 10));
  grew(<i32>length);
}

/** Opens the reason in words. */
export function because(): void { openEntry(TAG_BECAUSE, 0); }
/** Answers with an item. */
export function choose(id: Text): void { if (openEntry(TAG_ITEM, count(id))) putText(id); }
/** Opens the reason code of the item chosen last. */
export function reason(): void { openEntry(TAG_REASON, 0); }
/** Opens the text of the item chosen last. */
export function say(): void { openEntry(TAG_TEXT, 0); }

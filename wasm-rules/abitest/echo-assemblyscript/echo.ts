// SPDX-License-Identifier: Apache-2.0

// echo says what it was given. Its slots are those of ../manifest.json; the C
// echo does the same.
import {
  GEO_COUNTRY, GEO_LAT, NO_ANSWER, PAGE_PATH, PAGE_TAGS, FloatField, IntField, ItemsField, ListField, MapField,
  TextField, answer, because, choose, count, entries, float, has, int, itemId, itemPrice, itemQuantity, items, keyAt,
  list, listAt, near_out, ownField, put, putInt, putText, reason, say, setting, settingBool, settingJson,
  settingNumber, settingsText, text, valueAt,
} from "../../sdk/assemblyscript/near";

export { near_in, near_out, near_bind } from "../../sdk/assemblyscript/near";

// Slot 7, "trap", has no case of its own.
const FIELDS = 0, SETTINGS = 1, SCORE = 2, ITEMS = 3, COUNT = 4, NOTHING = 5, NONSENSE = 6, GROW = 8,
  UNKNOWN_TAG = 9, NOT_UTF8 = 10, TOO_LONG = 11, FILL = 12, TYPED_SETTINGS = 13;
const OWN_TEXT = 0, OWN_NUMBER = 1, OWN_AMOUNT = 2, OWN_FLAG = 3, OWN_SINCE = 4, OWN_LIST = 5, OWN_THINGS = 6,
  OWN_WEIGHTS = 7;
const SETTINGS_MAX = 256;

const kept: usize = memory.data(SETTINGS_MAX, 4);
const keptLength: usize = memory.data(4, 4);

/** An exported global. */
export let calls: i32 = 0;
// One that only the rewritten module exports.
let counts: i32 = 0;

export function near_settings(at: usize, length: i32): void {
  if (length > SETTINGS_MAX) unreachable();
  memory.copy(kept, at, <usize>length);
  store<i32>(keptLength, length);
}

// @ts-ignore: decorator
@inline function outputLength(): i32 { return load<i32>(near_out()); }

/** Starts the next value: "-" when it is absent. */
function value(known: bool): i32 {
  if (outputLength() > 4) put("|");
  if (!known) put("-");
  return known ? 1 : 0;
}

/** Numbers are said in thousandths: exact, and short to write in any language. */
function thousandths(x: f64): void {
  putInt(<i64>(x * 1000 + (x < 0 ? -0.5 : 0.5)));
  put("m");
}

function sayText(f: TextField): i32 {
  const known = value(has(f));
  if (known) putText(text(f));
  return known;
}

function sayInt(f: IntField): i32 {
  const known = value(has(f));
  if (known) putInt(int(f, -1));
  return known;
}

function sayFloat(f: FloatField): i32 {
  const known = value(has(f));
  if (known) thousandths(float(f, -1));
  return known;
}

function sayList(f: ListField): i32 {
  const known = value(has(f)), l = list(f);
  for (let i = 0, n = count(l); i < n; i++) {
    if (i > 0) put(",");
    putText(listAt(l, i));
  }
  return known;
}

function sayItems(f: ItemsField): i32 {
  const known = value(has(f)), l = items(f);
  for (let i = 0, n = count(l); i < n; i++) {
    if (i > 0) put(",");
    putText(itemId(l, i));
    put("*");
    putInt(itemQuantity(l, i));
    put("@");
    thousandths(itemPrice(l, i));
  }
  return known;
}

function sayMap(f: MapField): i32 {
  const known = value(has(f)), m = entries(f);
  for (let i = 0, n = count(m); i < n; i++) {
    if (i > 0) put(",");
    putText(keyAt(m, i));
    put(":");
    thousandths(valueAt(m, i));
  }
  return known;
}

function fields(): i64 {
  because();
  let present = sayText(PAGE_PATH);
  present += sayText(ownField(OWN_TEXT));
  present += sayList(PAGE_TAGS);
  present += sayInt(ownField(OWN_NUMBER));
  present += sayText(GEO_COUNTRY);
  present += sayFloat(ownField(OWN_AMOUNT));
  present += sayFloat(GEO_LAT);
  present += sayInt(ownField(OWN_FLAG));
  present += sayInt(ownField(OWN_SINCE));
  present += sayList(ownField(OWN_LIST));
  present += sayItems(ownField(OWN_THINGS));
  present += sayMap(ownField(OWN_WEIGHTS));
  return answer(1, present);
}

function saySettings(): i64 {
  const json = settingsText(kept, load<i32>(keptLength));
  because();
  putText(json);
  put("|");
  putText(setting(json, "say"));
  put("|");
  putText(setting(json, "deep"));
  return answer(1, 0);
}

function sayTypedSettings(): i64 {
  const json = settingsText(kept, load<i32>(keptLength)), none: f64 = -1e9;
  const textJson = settingJson(json, "text"), number = settingNumber(json, "number", none);
  because();
  if (count(textJson) > 0 && load<u8>(<usize><u32>textJson) == 0x22) putText(setting(json, "text"));
  else put("-");
  put("|");
  if (number == none) put("-");
  else thousandths(number);
  put("|");
  if (settingBool(json, "flag", true) == settingBool(json, "flag", false)) put(settingBool(json, "flag", true) ? "yes" : "no");
  else put("-");
  return answer(1, 0);
}

function chooseItems(): i64 {
  const l = list(ownField(OWN_LIST));
  for (let i = 0, n = count(l); i < n; i++) {
    choose(listAt(l, i));
    reason();
    put("seen");
    say();
    put("You saw ");
    putText(listAt(l, i));
  }
  return answer(1, 0);
}

function grow(): i64 {
  if (memory.grow(1) < 0) unreachable();
  return answer(1, memory.size());
}

/** An entry of a tag no version 1 host knows, then the reason. */
function unknownTag(): i64 {
  store<u32>(near_out(), 4 + 4, 0);
  store<u32>(near_out(), 4 << 16 | 99, 4);
  store<u32>(near_out(), 0x21212121, 8);
  because();
  put("known");
  return answer(1, 0);
}

function notUtf8(): i64 {
  because();
  put("??");
  store<u16>(near_out(), 0xfeff, 8);
  return answer(1, 0);
}

/** Writes texts until none fits: the output must end as a whole. */
function fill(): i64 {
  because();
  for (let i = 0; i < 200; i++) put("0123456789");
  choose(text(PAGE_PATH));
  say();
  put("nothing");
  return answer(1, 0);
}

export function near_decide(slot: i32): i64 {
  calls++;
  // The host refuses a module that misbehaves on an empty record or on a
  // canary visit. Neither has a value for an own field.
  if (slot >= NONSENSE && !has(ownField(OWN_NUMBER))) return NO_ANSWER;
  switch (slot) {
    case FIELDS: return fields();
    case SETTINGS: return saySettings();
    case SCORE: return answer(2, int(ownField(OWN_NUMBER), 0));
    case ITEMS: return chooseItems();
    case COUNT: return answer(1, calls + counts++);
    case NOTHING: return NO_ANSWER;
    case NONSENSE: return answer(3, 0);
    case GROW: return grow();
    case UNKNOWN_TAG: return unknownTag();
    case NOT_UTF8: return notUtf8();
    case TOO_LONG:
      store<i32>(near_out(), 5000);
      return answer(1, 0);
    case FILL: return fill();
    case TYPED_SETTINGS: return sayTypedSettings();
  }
  unreachable(); // TRAP comes here
  return NO_ANSWER;
}

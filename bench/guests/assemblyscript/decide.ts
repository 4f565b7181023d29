// SPDX-License-Identifier: Apache-2.0

// decide is what every guest beside it does, line by line, in AssemblyScript.
import {
  CART, COUNTERS, DEVICE_TYPE, GEO_COUNTRY, LANG, NO_ANSWER, PAGE_TAGS, TIME_HOUR, VISITOR_VISITS,
  List, answer, because, count, entries, equals, int, itemId, itemPrice, itemQuantity, items, list, listAt, put, startsWith,
  text, valueOf,
} from "../../../wasm-rules/sdk/assemblyscript/near";

export { near_in, near_out } from "../../../wasm-rules/sdk/assemblyscript/near";

const PLAIN = 1, WARM = 2, HOT = 3;

function loyalty(): i64 {
  if (!equals(text(GEO_COUNTRY), "FR")) return 0;
  if (!equals(text(DEVICE_TYPE), "phone")) return 0;
  if (int(VISITOR_VISITS, 0) <= 3) return 0;
  return startsWith(text(LANG), "fr") ? 40 : 0;
}

function habit(): i64 {
  return 2 * <i64>min(valueOf(entries(COUNTERS), "view_item", 0), 10);
}

function basket(): i64 {
  const cart = items(CART);
  let score: i64 = 0, total: f64 = 0;
  for (let i = 0, n = count(cart); i < n; i++) {
    const quantity = itemQuantity(cart, i);
    if (startsWith(itemId(cart, i), "shoe-")) score += 5 * quantity;
    total += <f64>quantity * itemPrice(cart, i);
  }
  return total > 100 ? score + 10 : score;
}

function has(tags: List, literal: string): bool {
  for (let i = 0, n = count(tags); i < n; i++) {
    if (equals(listAt(tags, i), literal)) return true;
  }
  return false;
}

export function near_decide(slot: i32): i64 {
  let score = loyalty() + habit() + basket();
  if (has(list(PAGE_TAGS), "vip")) score += 30;
  if (int(TIME_HOUR, 0) >= 18) score += 5;
  if (int(VISITOR_VISITS, 0) > 1000) {
    because();
    put("Known to rule 00000000"); // a number of its own makes a module of its own
    if (int(VISITOR_VISITS, 0) == 1234567) while (true) {}
  }
  if (score >= 80) return answer(HOT, score);
  if (score >= 50) return answer(WARM, score);
  return score >= 20 ? answer(PLAIN, score) : NO_ANSWER;
}

// SPDX-License-Identifier: Apache-2.0

// offer-by-history chooses the offer that suits what the visitor did here
// before. What was bought is never the reason for an offer, and somebody of
// whom nothing is known gets no answer.
import {
  BOUGHT, CART, INTERESTS, RECENT, VISITOR_VISITS, NO_ANSWER, List, Text,
  answer, because, count, entries, int, itemId, itemQuantity, items, keyAt, list, listAt, listHas, put, putInt, putText,
  valueAt,
} from "../../sdk/assemblyscript/near";

export { near_in, near_out } from "../../sdk/assemblyscript/near";

const COMPLETE_CART = 1, RECENTLY_VIEWED = 2, FAVOURITE_CATEGORY = 3, WELCOME_BACK = 4;

// Each offer's score grows with its evidence, so that a strong habit can win
// over a single glance; a cart always wins, a mere return never does.
const CART_BASE: i64 = 500, CART_EACH: i64 = 20, CART_MOST: i64 = 10;
const VIEW_BASE: i64 = 300, VIEW_EACH: i64 = 10, VIEW_MOST: i64 = 10;
const HABIT_BASE: i64 = 250, HABIT_EACH: i64 = 15, HABIT_MOST: i64 = 12, HABIT_LEAST: f64 = 2;
const VISIT_BASE: i64 = 100, VISIT_MOST: i64 = 50;

function things(n: i64): void {
  putInt(n);
  put(n == 1 ? " thing" : " things");
}

function quantityInCart(bought: List): i64 {
  const cart = items(CART);
  let sum: i64 = 0;
  for (let i = 0, n = count(cart); i < n; i++) {
    if (!listHas(bought, itemId(cart, i))) sum += max<i64>(itemQuantity(cart, i), 1);
  }
  return sum;
}

function viewedNotBought(bought: List): i64 {
  const recent = list(RECENT);
  let sum: i64 = 0;
  for (let i = 0, n = count(recent); i < n; i++) {
    if (!listHas(bought, listAt(recent, i))) sum++;
  }
  return sum;
}

export function near_decide(slot: i32): i64 {
  const bought = list(BOUGHT);

  const inCart = quantityInCart(bought);
  if (inCart > 0) {
    because();
    things(inCart);
    put(inCart == 1 ? " waits in your cart" : " wait in your cart");
    return answer(COMPLETE_CART, CART_BASE + CART_EACH * min(inCart, CART_MOST));
  }

  const viewed = viewedNotBought(bought);
  const viewScore: i64 = viewed > 0 ? VIEW_BASE + VIEW_EACH * min(viewed, VIEW_MOST) : 0;

  const interests = entries(INTERESTS);
  let favourite: Text = 0, often: f64 = 0;
  for (let i = 0, n = count(interests); i < n; i++) {
    if (valueAt(interests, i) > often) {
      favourite = keyAt(interests, i);
      often = valueAt(interests, i);
    }
  }
  const habitScore: i64 = often >= HABIT_LEAST ? HABIT_BASE + HABIT_EACH * <i64>min(often, <f64>HABIT_MOST) : 0;

  if (habitScore > viewScore) {
    because();
    put("You often look at ");
    putText(favourite);
    return answer(FAVOURITE_CATEGORY, habitScore);
  }
  if (viewScore > 0) {
    because();
    put("You looked at ");
    things(viewed);
    put(" and have not bought ");
    put(viewed == 1 ? "it" : "them");
    return answer(RECENTLY_VIEWED, viewScore);
  }

  const visits = int(VISITOR_VISITS, 0);
  if (visits > 1) {
    because();
    put("This is your visit number ");
    putInt(visits);
    return answer(WELCOME_BACK, VISIT_BASE + min(visits, VISIT_MOST));
  }
  return NO_ANSWER;
}

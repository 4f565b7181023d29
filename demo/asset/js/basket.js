// SPDX-License-Identifier: Apache-2.0

import { MAX_QUANTITY, getBasket, setBasket, withState } from "./address.js";
import { getNow } from "./consent.js";
import { announce, getItem, money, say, shop } from "./shop.js";

/** An item as GA4's ecommerce events spell it. */
const getEventItem = ({ id, name, category, price }, quantity) => ({
  item_id: id, item_name: name, item_category: category, price, quantity,
});

/** Tells an ecommerce event of items. Whether it may be told is the tag's to decide. */
export const tell = (event, lines, more = {}) =>
  window.near("event", event, {
    currency: shop.currency,
    value: lines.reduce((sum, { item, quantity }) => sum + item.price * quantity, 0),
    items: lines.map(({ item, quantity }) => getEventItem(item, quantity)),
    ...more,
  });

/** Whether the visitor changed the basket on this page. */
let isTouched = false;

const showCount = () => {
  document.getElementById("basket-count").textContent = getBasket().reduce((sum, { quantity }) => sum + quantity, 0);
};

/** Adds to or takes from the basket, and tells what changed. */
const change = (id, by) => {
  isTouched = true;
  const item = getItem(id);
  const lines = getBasket();
  let line = lines.find((line) => line.item === item);
  if (!line) lines.push((line = { item, quantity: 0 }));
  const quantity = Math.max(0, Math.min(MAX_QUANTITY, line.quantity + by));
  const changed = quantity - line.quantity;
  line.quantity = quantity;
  setBasket(lines.filter(({ quantity }) => quantity));
  if (changed) tell(changed > 0 ? "add_to_cart" : "remove_from_cart", [{ item, quantity: Math.abs(changed) }]);
  showCount();
};

/** Makes the buttons that put things in the basket work. */
export const startBasket = () => {
  document.addEventListener("click", ({ target }) => {
    const id = target.closest("[data-add]")?.dataset.add;
    if (!id) return;
    change(id, 1);
    announce(say("cart.added", { name: getItem(id).name }));
  });
  const shown = document.querySelector("[data-item]")?.dataset.item;
  if (shown) tell("view_item", [{ item: getItem(shown), quantity: 1 }]);
};

const showLine = ({ item, quantity }) => {
  const line = document.getElementById("cart-line").content.firstElementChild.cloneNode(true);
  line.dataset.line = item.id;
  line.querySelector("img").src = `/asset/item/${item.id}.svg`;
  const name = line.querySelector(".line-name");
  name.textContent = item.name;
  name.href = withState(`/${shop.lang}/item/${item.id}/`);
  line.querySelector("output").textContent = quantity;
  line.querySelector(".line-price").textContent = money(item.price * quantity);
  line.querySelector("[data-step='-1']").setAttribute("aria-label", say("cart.less", { name: item.name }));
  line.querySelector("[data-step='1']").setAttribute("aria-label", say("cart.more", { name: item.name }));
  return line;
};

const showCart = () => {
  const lines = getBasket();
  document.getElementById("cart-lines").replaceChildren(...lines.map(showLine));
  document.getElementById("cart-total").textContent = money(lines.reduce((sum, { item, quantity }) => sum + item.price * quantity, 0));
  document.getElementById("cart-full").hidden = !lines.length;
  document.getElementById("cart-empty").hidden = !!lines.length;
};

/** Pretends to sell what is in the basket. */
const buy = () => {
  isTouched = true;
  const id = "BB-" + crypto.getRandomValues(new Uint32Array(2)).reduce((text, part) => text + part.toString(36), "").toUpperCase();
  tell("purchase", getBasket(), { transaction_id: id });
  setBasket([]);
  showCount();
  showCart();
  document.getElementById("cart-empty").hidden = true;
  document.getElementById("cart-order").textContent = say("cart.thanks.text", { id });
  const thanks = document.getElementById("cart-thanks");
  thanks.hidden = false;
  thanks.querySelector("h2").focus();
};

/** Makes the basket's own page work, if this is it. */
export const startCart = () => {
  const cart = document.getElementById("cart");
  if (!cart) return;
  cart.addEventListener("click", ({ target }) => {
    const step = target.closest("[data-step]")?.dataset.step;
    const id = target.closest("[data-line]")?.dataset.line;
    if (!step || !id) return;
    change(id, step === "remove" ? -MAX_QUANTITY : +step);
    showCart();
    const again = cart.querySelector(`[data-line="${id}"] [data-step="${step}"]`);
    (again || document.getElementById("main")).focus({ preventScroll: true });
  });
  document.getElementById("cart-buy").addEventListener("click", buy);
  showCart();
};

/** Without these purposes nobody is known, or no history knows of baskets, and nothing follows anybody. */
const KNOWN = ["storage", "measure", "profile", "personalise"];

const isKnown = () => {
  const now = getNow();
  return now?.decisions.length && shop.purposes.every(({ name, bit }) => !KNOWN.includes(name) || now.granted & bit);
};

/**
 * Puts in the basket what the visitor's history says is in it: of who is signed in
 * whatever was done in other browsers, of others what an empty basket has lost with
 * the page's address. What the history has not heard of in a basket, from before
 * the visitor answered, stays. The history is asked once, after the tag's first answer, and
 * only where it may be used.
 */
export const followBasket = () => {
  let isAsked = false;
  const mayFollow = () => !isTouched && (shop.signedIn || (document.getElementById("cart") && !getBasket().length));
  const follow = async () => {
    if (isAsked || !isKnown() || !mayFollow()) return;
    isAsked = true;
    const response = await fetch(shop.mine).catch(() => {});
    const mine = response?.ok && (await response.json());
    if (!mine || !mayFollow() || (shop.signedIn && !mine.person)) return;
    const lines = (mine.items || [])
      .filter(({ cart, bought }) => cart || bought)
      .map(({ id, quantity = 0 }) => ({ item: getItem(id), quantity: Math.min(quantity, MAX_QUANTITY) }));
    const untold = getBasket().filter(({ item }) => !lines.some((line) => line.item === item));
    setBasket([...lines.filter(({ item, quantity }) => item && quantity), ...untold]);
    showCount();
    if (document.getElementById("cart")) showCart();
  };
  window.near("on", "answer", follow);
  follow(); // the answer may have been quicker than this script
};

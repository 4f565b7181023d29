// SPDX-License-Identifier: Apache-2.0

// The page's address is all the state there is: who is played, what was
// granted, what is in the basket. The server reads and writes it the same way.

import { getItem } from "./shop.js";

/** The most of one item that the basket holds. */
export const MAX_QUANTITY = 9;

const keys = ["place", "device", "lang", "grant", "gpc", "cmp", "cart", "bar"];

const read = (search) => {
  const params = new URLSearchParams(search);
  return Object.fromEntries(keys.filter((key) => params.get(key)).map((key) => [key, params.get(key)]));
};

const spell = (state) => {
  const parts = keys.filter((key) => state[key]).map((key) => key + "=" + encodeURIComponent(state[key]).replace(/%2C/g, ",").replace(/%3A/g, ":"));
  return parts.length ? "?" + parts.join("&") : "";
};

/** Changes the state in this page's address, without a navigation, and says so: demo:address. */
export const write = (changes) => {
  const kept = [...new URLSearchParams(location.search)].filter(([key]) => !keys.includes(key));
  const own = spell({ ...read(location.search), ...changes });
  const rest = kept.map(([key, value]) => encodeURIComponent(key) + "=" + encodeURIComponent(value)).join("&");
  history.replaceState(history.state, "", location.pathname + (rest && own ? own + "&" + rest : own || (rest && "?" + rest)) + location.hash);
  document.dispatchEvent(new Event("demo:address"));
};

/** The address of another page of the shop, with the state of now. */
export const withState = (href, changes = {}) => {
  const url = new URL(href, location.href);
  return url.pathname + spell({ ...read(location.search), ...changes }) + url.hash;
};

/** The address of this page, without the part after #. */
export const here = () => location.pathname + location.search;

/** The address of a page as somebody else, with the basket and the bar of now. */
export const withWho = (href) => {
  const url = new URL(href, location.href);
  const now = read(location.search);
  const who = read(url.search);
  return url.pathname + spell({ ...who, cart: now.cart, bar: now.bar || who.bar }) + url.hash;
};

/** Whether a link leads to this very page as the visitor of now. */
export const isHere = ({ pathname, search }) => pathname === location.pathname && spell(read(search)) === spell(read(location.search));

/** What the visitor answered: names of purposes, or undefined if they did not. */
export const getGrant = () => {
  const { grant } = read(location.search);
  return grant === undefined ? undefined : grant.split(",").filter((name) => name !== "none");
};

/** How many of an item are in the basket: 1 where nothing is said, 0 for what is no number. */
const readQuantity = (text) => (/^\d*$/.test(text) ? Math.min(MAX_QUANTITY, text === "" ? 1 : +text) : 0);

/** The basket: [{item, quantity}]. An item counts once. */
export const getBasket = () =>
  (read(location.search).cart || "")
    .split(",")
    .map((part) => part.split(":"))
    .map(([id, ...rest]) => ({ item: getItem(id), quantity: readQuantity(rest.join(":")) }))
    .filter(({ item, quantity }) => item && quantity > 0)
    .filter(({ item }, i, lines) => lines.findIndex((line) => line.item === item) === i);

/** Puts another basket in the address. */
export const setBasket = (lines) => write({ cart: lines.map(({ item, quantity }) => item.id + ":" + quantity).join(",") });

// SPDX-License-Identifier: Apache-2.0

// The page's address is all the state there is: who is played, what was
// granted, what is in the basket. The server reads and writes it the same way.

import { getItem } from "./shop.js";

const keys = ["place", "device", "lang", "grant", "gpc", "cart", "bar"];

const read = (search) => {
  const params = new URLSearchParams(search);
  return Object.fromEntries(keys.filter((key) => params.get(key)).map((key) => [key, params.get(key)]));
};

const spell = (state) => {
  const parts = keys.filter((key) => state[key]).map((key) => key + "=" + encodeURIComponent(state[key]).replace(/%2C/g, ",").replace(/%3A/g, ":"));
  return parts.length ? "?" + parts.join("&") : "";
};

/** Changes the state in this page's address, without a navigation. */
export const write = (changes) => {
  const kept = [...new URLSearchParams(location.search)].filter(([key]) => !keys.includes(key));
  const own = spell({ ...read(location.search), ...changes });
  const rest = kept.map(([key, value]) => encodeURIComponent(key) + "=" + encodeURIComponent(value)).join("&");
  history.replaceState(history.state, "", location.pathname + (rest && own ? own + "&" + rest : own || (rest && "?" + rest)) + location.hash);
};

/** The address of another page of the shop, with the state of now. */
export const withState = (href, changes = {}) => {
  const url = new URL(href, location.href);
  return url.pathname + spell({ ...read(location.search), ...changes }) + url.hash;
};

/** What the visitor answered: names of purposes, or undefined if they did not. */
export const getGrant = () => {
  const { grant } = read(location.search);
  return grant === undefined ? undefined : grant.split(",").filter((name) => name !== "none");
};

/** The basket: [{item, quantity}]. */
export const getBasket = () =>
  (read(location.search).cart || "")
    .split(",")
    .map((part) => part.split(":"))
    .map(([id, quantity]) => ({ item: getItem(id), quantity: Math.min(9, +(quantity || 1)) }))
    .filter(({ item, quantity }) => item && quantity > 0);

/** Puts another basket in the address. */
export const setBasket = (lines) => write({ cart: lines.map(({ item, quantity }) => item.id + ":" + quantity).join(",") });

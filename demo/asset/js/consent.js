// SPDX-License-Identifier: Apache-2.0

import { write } from "./address.js";
import { shop } from "./shop.js";

/** Answers for consent: in the page's address for later pages, to the tag for this one. */
export const answer = (granted) => {
  write({ grant: granted.join(",") || "none" });
  window.near("consent", Object.fromEntries(shop.purposes.map(({ name }) => [name, granted.includes(name)])));
  document.dispatchEvent(new Event("demo:answered"));
};

/** What the tag knows now, or undefined while (or if) it is not there. */
export const getNow = () => {
  let now;
  // The stub, which only queues, is known by its queue.
  if (!window.near.q) window.near("get", (value) => (now = value));
  return now;
};

/** The names of the purposes in a set of bits. */
export const getNames = (bits) => shop.purposes.filter(({ bit }) => bits & bit).map(({ name }) => name);

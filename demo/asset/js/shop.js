// SPDX-License-Identifier: Apache-2.0

/** What the server said of the page: language, texts, items, purposes. */
export const shop = JSON.parse(document.getElementById("shop").textContent);

/** A text with its {placeholders} filled. */
export const say = (key, values = {}) =>
  Object.entries(values).reduce((text, [name, value]) => text.replaceAll(`{${name}}`, value), shop.texts[key] ?? key);

/** The same as nodes: each value in a piece of its own, which does not turn the text around it. */
export const compose = (key, values) =>
  (shop.texts[key] ?? key)
    .split(/(\{[a-z]+\})/)
    .filter((part) => part)
    .map((part) => (part.startsWith("{") ? make("bdi", {}, String(values[part.slice(1, -1)] ?? "")) : part));

/** An amount of whole euros as the language spells it. */
export const money = (euros) => shop.price.replace("{n}", euros);

export const getItem = (id) => shop.items.find((item) => item.id === id);

/** An element with attributes and children; every text goes in as text. */
export const make = (tag, attributes = {}, ...children) => {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) el.setAttribute(name, value);
  el.append(...children);
  return el;
};

/** Says something to those who listen to the page. */
export const announce = (text) => {
  document.getElementById("status").textContent = text;
};

// SPDX-License-Identifier: Apache-2.0

import { getItem, make, say, shop } from "./shop.js";

/** A purpose in words, with its name as the product spells it. */
export const getPurposeText = (name) => shop.purposes.find((purpose) => purpose.name === name)?.text || name;

/** A field in words beside its wire name. */
export const nameField = (field) => {
  const words = shop.texts["field." + field];
  return words ? [words + " ", make("code", {}, field)] : [make("code", {}, field)];
};

const nameCountry = (code) => {
  try {
    return `${new Intl.DisplayNames(shop.lang, { type: "region" }).of(code)} (${code})`;
  } catch {
    return code;
  }
};

const nameThing = (id) => getItem(id)?.name || shop.shelves[id] || id;

/** A field's value in words. */
export const showValue = (field, value) => {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return say(value ? "why.yes" : "why.no");
  if (field === "geo.country") return nameCountry(value);
  if (field === "device.type") return shop.texts["device." + value] || value;
  if (Array.isArray(value)) {
    return value.map((part) => (part.id ? `${nameThing(part.id)} × ${part.quantity}` : nameThing(part))).join(" · ");
  }
  if (typeof value === "object") return Object.entries(value).map(([key, n]) => `${nameThing(key)} × ${n}`).join(" · ");
  return nameThing(String(value));
};

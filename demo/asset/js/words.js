// SPDX-License-Identifier: Apache-2.0

import { getItem, make, say, shop } from "./shop.js";

/** A purpose in words, with its name as the product spells it. */
export const getPurposeText = (name) => shop.purposes.find((purpose) => purpose.name === name)?.text || name;

/** A field in words beside its wire name. */
export const nameField = (field) => {
  const words = shop.texts["field." + field];
  return words ? [words + " ", make("code", {}, field)] : [make("code", {}, field)];
};

/** A code of a region or a language in words. */
export const nameIn = (type, code) => {
  try {
    return new Intl.DisplayNames(shop.lang, { type }).of(code);
  } catch {
    return code;
  }
};

const nameCountry = (code) => `${nameIn("region", code)} (${code})`;

/** Days count from Monday, 1: 3 January 2000 was one. */
const nameDay = (day) => new Intl.DateTimeFormat(shop.lang, { weekday: "long", timeZone: "UTC" }).format(Date.UTC(2000, 0, 2 + Number(day)));

const nameThing = (id) => getItem(id)?.name || shop.shelves[id] || id;

/** A field's value in words. */
export const showValue = (field, value) => {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return say(value ? "why.yes" : "why.no");
  if (field === "geo.country") return nameCountry(value);
  if (field === "lang") return nameIn("language", value);
  if (field === "time.weekday") return nameDay(value);
  if (field === "device.type") return shop.texts["device." + value] || value;
  if (field === "stage" || field === "intent") return shop.texts[field + "." + value] || value;
  if (Array.isArray(value)) {
    return value.map((part) => (part.id ? `${nameThing(part.id)} × ${part.quantity}` : nameThing(part))).join(" · ");
  }
  if (typeof value === "object") return Object.entries(value).map(([key, n]) => `${nameThing(key)} × ${n}`).join(" · ");
  return nameThing(String(value));
};

// SPDX-License-Identifier: Apache-2.0

import { compose, make, say, shop } from "./shop.js";
import { getPurposeText, nameIn, showValue } from "./words.js";

const SIGNS = { held: "✓", failed: "✗", unknown: "?" };

/** What a condition may be about that is no field's bare name. */
const SUBJECTS = [
  [/^count\(\s*"(.+?)"\s*,\s*"(\d+)d"\s*\)$/, ([event, days]) => say("condition.count", { event: shop.texts["condition.event." + event] ?? event, days })],
  [/^distanceKm\((.+)\)$/, ([place]) => say("condition.distance", { place })],
  [/^hash\("(.+)"\)$/, ([salt]) => say("condition.hash", { salt })],
  [/^now\.getMonth\(\)$/, () => say("condition.month")],
  [/^(?:size\((.+)\)|(.+)\.size\(\))$/, ([a, b]) => say("condition.size", { field: nameSubject(a ?? b) })],
  [/^(.+)\.lowerAscii\(\)$/, ([field]) => nameSubject(field)],
  [/^([a-z_.]+)\["?(.+?)"?\]$/, ([field, key]) => nameEntry(field, showValue(field, key))],
];

/** An entry of a map. */
const nameEntry = (field, key) =>
  shop.texts["condition.entry." + field] ? say("condition.entry." + field, { key }) : `${nameSubject(field)} (${key})`;

/** What a condition is about, in words; what nobody has words for as it is written. */
const nameSubject = (written) => {
  const words = shop.texts["field." + written];
  if (words) return words;
  for (const [pattern, name] of SUBJECTS) {
    const match = pattern.exec(written);
    if (match) return name(match.slice(1));
  }
  return written;
};

/** Months count from 0. */
const nameMonth = (month) => new Intl.DateTimeFormat(shop.lang, { month: "long", timeZone: "UTC" }).format(Date.UTC(2000, Number(month), 1));

/** A value of what a condition is about, in words. */
const nameValue = (field, value) => {
  if (field === "now.getMonth()") return nameMonth(value);
  return field === "geo.country" ? nameIn("region", value) : showValue(field, value);
};

/** So many values are named before the others are only counted. */
const NAMED = 6;

const nameValues = (field, values) => {
  const named = values.slice(0, values.length > NAMED ? NAMED - 2 : NAMED).map((value) => String(nameValue(field, value)));
  if (values.length > NAMED) named.push(say("condition.others", { n: values.length - named.length }));
  return new Intl.ListFormat(shop.lang, { type: "disjunction" }).format(named);
};

/** How many per cent of the visitors a rule's roll-out or weights are for. */
const nameShare = (percent) => new Intl.NumberFormat(shop.lang, { style: "percent", maximumFractionDigits: 2, numberingSystem: "latn" }).format(percent / 100);

const parse = (json) => {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
};

/** A condition as it is said in the page's language. */
const tell = ({ op, field, values = [], text }) => {
  if (op === "share") return compose("condition.share", { share: nameShare(values[0]) });
  if (op === "true" && !field) return [say("condition.always")];
  const own = shop.texts[`condition.${op}.${op === "audience" ? values[0] : text}`];
  if (own) return [own];
  const key = "condition." + (op === "one-of" ? "is" : op); // is one or the other
  if (!shop.texts[key]) return [make("code", {}, text)];
  return compose(key, { field: field && nameSubject(field), values: nameValues(field, values) });
};

/** Why a condition could not be told. */
const tellCause = ({ cause, field, purpose }) =>
  make("p", { class: "cause" }, ...compose("cause." + cause, { field: nameSubject(field), purpose: getPurposeText(purpose) }));

const showOne = (condition) => {
  const { op, field, saw, verdict, unknown = [], parts = [] } = condition;
  const line = make("p", {}, make("span", { class: "sign", "aria-hidden": "true" }, SIGNS[verdict]), make("span", { class: "unseen" }, say("verdict." + verdict) + ": "),
    make("span", {}, ...tell(condition)));
  if (saw && op !== "true") line.append(" ", make("small", {}, ...compose("condition.saw", { value: nameValue(field, parse(saw)) })));
  const item = make("li", { class: "is-" + verdict }, line);
  if (parts.length) item.append(make("ul", { class: "conditions" }, ...parts.map(showOne)));
  else item.append(...unknown.map(tellCause));
  return item;
};

/** A rule's condition: each part with whether it held, and why it is not known where it is not. */
export const showCondition = (condition) => [
  make("ul", { class: "conditions" }, showOne(condition)),
  ...(condition.op === "true" && !condition.field
    ? []
    : [make("details", { class: "written" }, make("summary", {}, say("why.written")), make("pre", { dir: "ltr" }, make("code", {}, condition.text)))]),
];

// SPDX-License-Identifier: Apache-2.0

import { showCondition } from "./condition.js";
import { getNames, getNow } from "./consent.js";
import { make, say, shop } from "./shop.js";
import { getPurposeText, nameField, showValue } from "./words.js";

const CONTEXT = shop.purposes.find(({ name }) => name === "context").bit;

const panel = document.getElementById("panel");
let shown;

const section = (title, ...children) => make("section", {}, make("h3", {}, title), ...children);

const fact = (term, ...value) => make("div", {}, make("dt", {}, term), make("dd", {}, ...value));

/** Whether an answer came too late to be shown. */
const isLate = (slot) => slot.dataset.near === "late";

/** Why a slot shows what it shows, in a sentence. */
const getReason = (now, decision, slot) => {
  if (!now) return say("why.absent");
  if (!decision) return say(now.granted & CONTEXT ? "why.unanswered" : "why.nothing");
  return say(isLate(slot) ? "why.late" : "reason." + decision.reason);
};

const showFacts = (decision, why, late) => {
  const variant = decision.variant && make("code", {}, decision.variant);
  const facts = [fact(say("why.shows"), late || !variant ? say("why.own") : variant)];
  if (late && variant) facts.push(fact(say("why.would"), variant));
  if (decision.rule) facts.push(fact(say("why.rule"), make("code", {}, decision.rule)));
  const rung = why?.rung || "default";
  facts.push(fact(say("why.rung"), say("rung." + rung) + " ", make("code", {}, rung)));
  if (decision.because) facts.push(fact(say("why.because"), decision.because));
  return make("dl", { class: "panel-facts" }, ...facts);
};

/** What the chosen rule made of the visit: a rule without code says its condition, a module what it saw. */
const showGrounds = (chosen) => (chosen.condition ? section(say("why.checked"), ...showCondition(chosen.condition)) : showSaw(chosen));

const showSaw = ({ saw }) =>
  section(
    say("why.saw"),
    saw?.length
      ? make("dl", { class: "panel-saw" }, ...saw.map(({ field, value }) =>
          make("div", {}, make("dt", {}, ...nameField(field)), make("dd", {}, make("bdi", {}, showValue(field, value))))))
      : make("p", {}, say("why.saw.none")),
  );

const showWithheld = (tried) => {
  const withheld = new Map(tried.flatMap(({ withheld }) => withheld || []).map(({ field, purpose }) => [field, purpose]));
  return section(
    say("why.withheld"),
    withheld.size
      ? make("ul", { class: "panel-withheld" }, ...[...withheld].map(([field, purpose]) =>
          make("li", {}, ...nameField(field), make("em", {}, say("why.unlocks", { purpose: getPurposeText(purpose) })))))
      : make("p", {}, say("why.withheld.none")),
  );
};

/** What came of a rule that was not chosen. */
const tellTried = ({ reason, outside, condition }) => {
  if (outside) return say("why.outside." + outside);
  if (reason === "rule") return say("why.outscored");
  return condition ? say("why.rule." + condition.verdict) : say("reason." + reason);
};

/** Of many rules those that plainly do not hold keep their conditions to themselves until they are asked. */
const FEW = 3;

const showTriedCondition = ({ condition }, many) =>
  !many || condition.verdict === "unknown"
    ? showCondition(condition)
    : [make("details", { class: "written" }, make("summary", {}, say("why.checked")), ...showCondition(condition))];

const showTried = (tried) =>
  section(
    say("why.tried"),
    make("ol", { class: "panel-tried" }, ...tried.map((one) =>
      make("li", {}, make("code", {}, one.rule), " ", make("small", {}, say("rung." + one.rung)),
        make("p", {}, tellTried(one)),
        ...(one.condition ? showTriedCondition(one, tried.length > FEW) : []),
        ...(one.reason === "no-consent" && one.needs ? [make("p", {}, say("why.needs", { purposes: getNames(one.needs).map(getPurposeText).join(" · ") }))] : [])))),
  );

const showConsent = ({ granted, authority, resolved, signals }) =>
  section(
    say("why.consent"),
    make("ul", { class: "panel-purposes" }, ...shop.purposes.map(({ name, bit, text }) =>
      make("li", { class: granted & bit ? "is-yes" : "is-no" }, make("span", {}, text), make("b", {}, say(granted & bit ? "why.yes" : "why.no"))))),
    make("p", {}, say("why.authority", { authority: say("authority." + (resolved ? authority : "nobody")) })),
    ...(signals.gpc ? [make("p", {}, say("why.gpc"))] : []),
  );

const show = () => {
  if (!panel.open) return;
  const slot = document.querySelector(`near-slot[name=${shown}]`);
  const now = getNow();
  const decision = now?.decisions.find((decision) => decision.slot === shown);
  const why = decision?.why;
  const tried = why?.tried || [];
  const chosen = tried.find(({ rule }) => decision.variant && rule === decision.rule);
  const parts = [make("p", { class: "panel-reason" }, getReason(now, decision, slot))];
  if (decision) parts.push(showFacts(decision, why, isLate(slot)));
  if (chosen) parts.push(showGrounds(chosen));
  if (tried.length) parts.push(showWithheld(tried));
  const others = tried.filter((one) => one !== chosen);
  if (others.length) parts.push(showTried(others));
  if (now) parts.push(showConsent(now));
  document.getElementById("panel-title").textContent = say("why.slot." + shown);
  panel.querySelector(".panel-body").replaceChildren(...parts);
};

/** Makes the "Why this?" buttons work. */
export const startPanel = () => {
  document.addEventListener("click", ({ target }) => {
    const name = target.closest("[data-explain]")?.dataset.explain;
    if (!name) return;
    shown = name;
    panel.showModal();
    show();
    panel.scrollTop = 0;
  });
  panel.querySelector(".panel-close").addEventListener("click", () => panel.close());
  panel.addEventListener("click", ({ target }) => target === panel && panel.close());
  document.addEventListener("demo:change", show);
};

// SPDX-License-Identifier: Apache-2.0

import { getGrant, isHere, withState, write } from "./address.js";
import { answer, getNow } from "./consent.js";
import { say, shop } from "./shop.js";

const bar = document.getElementById("bar");
const form = document.getElementById("bar-form");

/** Shows what was answered, and what of it is really granted. */
const show = () => {
  const grant = getGrant();
  const now = getNow();
  document.getElementById("bar-count").textContent = grant ? say("bar.count", { n: grant.length }) : say("bar.undecided");
  for (const { name, bit } of shop.purposes) {
    const label = form.querySelector(`[data-purpose=${name}]`);
    const said = !!grant?.includes(name);
    label.querySelector("input").checked = said;
    label.querySelector("em").hidden = !(said && now && !(now.granted & bit));
  }
};

/** Marks who of the quick choices is played now. */
const showWho = () => {
  for (const link of bar.querySelectorAll("[data-as-is]")) {
    if (isHere(link)) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
};

/** The same page as whoever the form now plays: only a new page view is another visitor's. */
const goAs = ({ place, device, lang, gpc }) => {
  const changes = { place: place.value, device: device.value, lang: lang.value, gpc: gpc.checked ? "1" : "", bar: "1" };
  const path = location.pathname.replace(/^\/[^/]+/, "/" + (lang.value || shop.lang));
  location.assign(withState(path, changes));
};

/** Makes the visitor bar work. */
export const startBar = () => {
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", ({ target }) => {
    if (target.name === "grant") answer(new FormData(form).getAll("grant"));
    else goAs(form.elements);
  });
  bar.addEventListener("toggle", () => write({ bar: bar.open ? "1" : "" }));
  document.addEventListener("demo:answered", show);
  document.addEventListener("demo:change", show);
  document.addEventListener("demo:address", showWho);
  show();
};

// SPDX-License-Identifier: Apache-2.0

import { here, withState, withWho } from "./address.js";

/**
 * Gives a link the state of now: the answer or the basket may have changed
 * since the page was made, and content of a slot knows nothing of either.
 */
const renew = (link) => {
  if (link.origin !== location.origin || link.matches(".skip, [data-elsewhere]")) return;
  const href = "asIs" in link.dataset ? withWho(link.href) : withState(link.href, link.matches(".stage-again") ? { grant: "" } : {});
  if (link.getAttribute("href") !== href) link.setAttribute("href", href);
};

const renewAll = () => {
  document.querySelectorAll("a[href]").forEach(renew);
  for (const form of document.querySelectorAll("form[method=post]")) form.setAttribute("action", here());
};

/** Keeps the links of the page true to its address. */
export const watchLinks = () => {
  document.addEventListener("demo:address", renewAll);
  const slots = new MutationObserver(renewAll);
  for (const slot of document.querySelectorAll("near-slot")) slots.observe(slot, { childList: true });
  renewAll();
};

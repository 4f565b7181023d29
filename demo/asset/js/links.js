// SPDX-License-Identifier: Apache-2.0

import { withState } from "./address.js";

/**
 * Gives a link the state of now, just before it is used: the basket may have
 * changed since the page was made, and content of a slot knows nothing of it.
 * Links that mean somebody else keep who they mean.
 */
const onUse = ({ target }) => {
  const link = target.closest?.("a[href]");
  if (!link || link.origin !== location.origin || "asIs" in link.dataset || link.matches(".skip, .stage-again")) return;
  link.href = withState(link.href);
};

export const watchLinks = () => {
  for (const act of ["click", "auxclick", "contextmenu", "dragstart"]) document.addEventListener(act, onUse, true);
};

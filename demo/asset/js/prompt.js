// SPDX-License-Identifier: Apache-2.0

import { write } from "./address.js";

/** Keeps what the consent prompt is told in the page's address, for later pages. */
export const startPrompt = () => {
  document.addEventListener("near:prompt", ({ detail }) => {
    write({ grant: detail.granted.join(",") || "none" });
    document.dispatchEvent(new Event("demo:answered"));
  });
  document.addEventListener("demo:answered", () => {
    const prompt = document.querySelector(".near-prompt");
    if (prompt) prompt.hidden = true; // the bar may have been quicker
  });
};

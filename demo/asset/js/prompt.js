// SPDX-License-Identifier: Apache-2.0

import { answer } from "./consent.js";
import { announce, say, shop } from "./shop.js";

/** Makes the consent prompt work. It never takes the focus by itself. */
export const startPrompt = () => {
  const prompt = document.getElementById("prompt");
  if (!prompt) return;
  const choices = document.getElementById("prompt-choices");
  const [choose] = prompt.querySelectorAll("[data-answer=choose]");

  document.addEventListener("demo:answered", () => {
    const hadFocus = prompt.contains(document.activeElement);
    prompt.remove();
    // Who was in the prompt goes on where the page begins, not at its very top.
    if (hadFocus) document.getElementById("main").focus({ preventScroll: true });
    announce(say("prompt.saved"));
  }, { once: true });

  prompt.addEventListener("click", ({ target }) => {
    switch (target.closest("[data-answer]")?.dataset.answer) {
      case "refuse":
        return answer([]);
      case "accept":
        return answer(shop.asked);
      case "choose":
        choices.hidden = !choices.hidden;
        choose.setAttribute("aria-expanded", String(!choices.hidden));
    }
  });
  choices.addEventListener("submit", (event) => {
    event.preventDefault();
    answer(new FormData(choices).getAll("grant"));
  });
};

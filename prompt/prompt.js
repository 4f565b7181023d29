// SPDX-License-Identifier: Apache-2.0

// Makes a consent prompt in the page work: shows it until it is answered, keeps
// the answer, tells the tag, and tells the node that there was an answer. Load it
// with defer, from where the tag comes from; docs/PROMPT.md says what it reads.
(() => {
  const script = document.currentScript;
  const prompt = document.querySelector("[data-near-prompt]");
  if (!prompt) return;
  const near = (...call) => (window.near ||= (...later) => (window.near.q ||= []).push(later))(...call);

  // The purposes, in the order of their bits.
  const NAMES = "storage measure context profile personalise share geo device".split(" ");
  const MONTHS_13 = 396 * 864e5; // after which consent has to be asked for again
  const SEND_AFTER = 3000; // milliseconds that a receipt waits for the tag's first answer
  const TRIES = 3;

  const { site } = script.dataset;
  const { nearPrompt: version, nearKeep: keeper = "storage" } = prompt.dataset;
  const key = "near.prompt." + site;
  const form = prompt.querySelector("form");
  const said = document.querySelector("[data-near-said]");
  const [more] = prompt.querySelectorAll("[data-answer=choose]");
  const boxes = [...form.querySelectorAll("[name=grant]")];
  const asked = boxes.map(({ value }) => value);

  /** Names that were granted; undefined before an answer. */
  let granted;
  /** What has the focus again when the prompt goes. */
  let opener;
  /** Ends what is still to be told of an earlier answer: it counts no more. */
  let cancel = () => {};

  const read = () => {
    try {
      const kept = JSON.parse(localStorage[key]);
      const age = Date.now() - kept.at;
      if (kept.version === version && age >= 0 && age < MONTHS_13) return asked.filter((name) => kept.granted.includes(name));
    } catch {
      // Nothing is kept, or storage is blocked: the visitor is asked again.
    }
  };

  const keep = () => {
    try {
      localStorage[key] = JSON.stringify({ version, granted, at: Date.now() });
    } catch {
      // The answer counts for this page.
    }
  };

  const bits = (names) => NAMES.reduce((sum, name, i) => (names.includes(name) ? sum + 2 ** i : sum), 0);

  /** Tells the node of an answer, again if it was not heard. */
  const post = async (body, storage, tries, isOver) => {
    if (isOver()) return;
    const url = new URL("v1/beacon", script.src);
    const isHome = url.origin === location.origin;
    try {
      const { status } = await fetch(url, {
        method: "POST",
        body,
        keepalive: true,
        credentials: isHome && storage ? "same-origin" : "omit",
        referrerPolicy: "origin",
      });
      if (status < 500 && status !== 429) return;
    } catch {
      // It is tried again.
    }
    if (tries > 1) setTimeout(post, 1000 * (1 + Math.random()), body, storage, tries - 1, isOver);
  };

  /**
   * A receipt of what was granted is always told, the rest if the site counts
   * it. A receipt comes after the tag's first answer, which may bring the
   * visitor's id.
   */
  const tell = (answer) => {
    const isGrant = answer === "accepted" || answer === "chosen";
    if (!isGrant && script.dataset.count == null) return;
    const purposes = bits(isGrant ? granted : []);
    const storage = purposes & 1;
    const id = Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("-"); // the state keeps 32 characters of it at most
    let isOver = false;
    const stop = () => {
      removeEventListener("near:answer", send);
      removeEventListener("pagehide", send);
      clearTimeout(timer);
    };
    const send = () => {
      stop();
      let state;
      try {
        state = (storage && localStorage["near." + site]) || undefined;
      } catch {
        // Storage is blocked: the receipt names nobody.
      }
      post(
        JSON.stringify({
          v: 1, site, state,
          consent: {
            purposes,
            policy: script.dataset.policy,
            owner: isGrant ? { granted: purposes, refused: 255 & ~purposes } : undefined,
            gpc: !!navigator.globalPrivacyControl,
          },
          prompt: { id, version, answer },
        }),
        storage, TRIES, () => isOver,
      );
    };
    if (isGrant) {
      cancel = () => {
        isOver = true;
        stop();
      };
    }
    const timer = setTimeout(send, isGrant ? SEND_AFTER : 0);
    if (!isGrant) return;
    addEventListener("near:answer", send);
    addEventListener("pagehide", send);
  };

  const unfold = (isOpen) => {
    form.hidden = !isOpen;
    more?.setAttribute("aria-expanded", String(isOpen));
  };

  const hide = () => {
    const hadFocus = prompt.contains(document.activeElement);
    prompt.hidden = true;
    // Who was in the prompt goes on where they came from, not at the page's top.
    if (!hadFocus) return;
    const to = opener?.isConnected ? opener : document.querySelector("main,[role=main]");
    if (!to) return;
    if (to !== opener && !to.hasAttribute("tabindex")) to.tabIndex = -1;
    to.focus({ preventScroll: true });
  };

  const answer = (names) => {
    const before = granted || [];
    cancel();
    granted = asked.filter((name) => names.includes(name));
    if (keeper === "storage") keep();
    hide();
    if (granted.length || !before.length) near("consent", Object.fromEntries(NAMES.map((name) => [name, granted.includes(name)])));
    else near("consent", "withdraw");
    const word = !granted.length ? "refused" : granted.length < asked.length ? "chosen" : "accepted";
    // Who grants nothing new has taken something back, which the tag tells.
    if (!granted.length ? !before.length : granted.some((name) => !before.includes(name))) tell(word);
    document.dispatchEvent(new CustomEvent("near:prompt", { detail: { version, answer: word, granted } }));
    if (said) said.textContent = said.dataset.nearSaid;
  };

  const reopen = (from) => {
    opener = from;
    boxes.forEach((box) => (box.checked = !!granted?.includes(box.value)));
    unfold(true);
    prompt.hidden = false;
    prompt.focus();
  };

  prompt.addEventListener("click", ({ target }) => {
    switch (target.closest("[data-answer]")?.dataset.answer) {
      case "refuse":
        return answer([]);
      case "accept":
        return answer(asked);
      case "choose":
        unfold(form.hidden);
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    answer(boxes.filter(({ checked }) => checked).map(({ value }) => value));
  });
  prompt.addEventListener("keydown", ({ key }) => {
    if (key === "Escape" && granted) hide(); // who has not answered is asked on
  });
  document.addEventListener("click", ({ target }) => {
    const from = target.closest?.("[data-near-reopen]");
    if (from) reopen(from);
  });

  /** Takes up the answer that is kept, which another page or tab may have changed. */
  const resume = () => {
    cancel();
    granted = read();
    prompt.hidden = !!granted;
    if (granted) near("consent", Object.fromEntries(NAMES.map((name) => [name, granted.includes(name)])));
  };

  if (keeper === "storage") {
    resume();
    addEventListener("storage", (event) => event.key === key && resume());
    addEventListener("pageshow", (event) => event.persisted && resume());
  }
  if (!prompt.hidden) tell("shown");
})();

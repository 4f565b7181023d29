// SPDX-License-Identifier: Apache-2.0

// Runs before anything else in each document and notes what is over by the time
// that look.js looks. It changes nothing that the page can see but one name.
(() => {
  const most = 500;
  const watched = { violations: [], scripts: new Set(), heights: new Map(), grew: new Map() };
  Object.defineProperty(window, "__nearsideDoctor", { value: watched });
  document.addEventListener("securitypolicyviolation", (event) => {
    if (watched.violations.length < most) watched.violations.push(event);
  });
  const note = (el) => {
    if (el.tagName === "SCRIPT" && watched.scripts.size < most) watched.scripts.add(el);
  };
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) {
        if (node.nodeType !== 1) continue;
        note(node);
        node.querySelectorAll("script").forEach(note);
      }
    }
  }).observe(document, { childList: true, subtree: true });
  // A slot's height just before it is filled can only be known by looking often.
  const measure = () => {
    for (const el of document.querySelectorAll("near-slot,[data-slot]")) {
      if (!el.dataset.near) watched.heights.set(el, el.offsetHeight);
      else if (el.dataset.near === "variant" && watched.heights.has(el) && !watched.grew.has(el)) {
        watched.grew.set(el, el.offsetHeight - watched.heights.get(el));
      }
    }
    if (performance.now() < 60000) requestAnimationFrame(measure);
  };
  requestAnimationFrame(measure);
})();

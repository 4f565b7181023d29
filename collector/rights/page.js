// SPDX-License-Identifier: Apache-2.0

// What is withdrawn or erased on the server goes from this origin's web storage too:
// the entry that stands for the cookie, and what the consent prompt keeps.
(() => {
  const done = document.querySelector("[data-done]");
  if (!done) return;
  const { done: act, site } = done.dataset;
  try {
    delete localStorage["near." + site];
    const key = "near.prompt." + site;
    const kept = act === "withdraw" && JSON.parse(localStorage[key] || "null");
    if (kept) localStorage[key] = JSON.stringify({ version: kept.version, granted: [], at: Date.now() });
    else delete localStorage[key];
  } catch {
    // Storage is blocked: there is nothing in it.
  }
})();

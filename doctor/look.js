// SPDX-License-Identifier: Apache-2.0

// Says what is in the page now, as the JSON of Go's type document. Every list and
// text is bounded here, since a page may hold any number of anything.
(() => {
  const most = 500;
  const cut = (text, length = 1000) => String(text ?? "").slice(0, length);
  const list = (items, turn) => Array.from(items).slice(0, most).map(turn);
  const attributes = (el) =>
    Object.fromEntries(list(el.attributes, ({ name, value }) => [cut(name, 100).toLowerCase(), cut(value)]));
  const watched = window.__nearsideDoctor || { violations: [], scripts: [], grew: new Map() };
  const hasTag = !!customElements.get("near-slot") && typeof window.near === "function";
  const attempt = (work) => {
    try {
      work();
    } catch {
      // A page's own functions may throw: then there is nothing to say of them.
    }
  };
  let now = null;
  if (hasTag) {
    attempt(() =>
      near("get", (state) => {
        const { owner, gcm } = state.signals;
        now = {
          granted: state.granted >>> 0,
          authority: cut(state.authority, 20),
          resolved: !!state.resolved,
          signals: {
            owner: { granted: owner.granted >>> 0, refused: owner.refused >>> 0 },
            gcm: Object.fromEntries(list(Object.entries(gcm || {}), ([type, state]) => [cut(type, 100), cut(state, 100)])),
          },
        };
      }),
    );
  }
  const platforms = {};
  if (window.__tcfapi) {
    platforms.tcf = "it does not answer a ping";
    attempt(() =>
      __tcfapi("ping", 2, (ping) => {
        platforms.tcf = cut(`cmpStatus ${ping.cmpStatus}, displayStatus ${ping.displayStatus}, gdprApplies ${ping.gdprApplies}`, 200);
      }),
    );
  }
  if (window.__gpp) {
    platforms.gpp = "it does not answer a ping";
    attempt(() =>
      __gpp("ping", (ping) => {
        platforms.gpp = cut(`cmpStatus ${ping.cmpStatus}, signalStatus ${ping.signalStatus}`, 200);
      }),
    );
  }
  const isKeyframes = (rule) => rule instanceof CSSKeyframesRule && rule.name === "near";
  const isStyled = (sheet) => {
    try {
      return [...sheet.cssRules].some(isKeyframes);
    } catch {
      return false; // another origin's
    }
  };
  const framed = [];
  list(document.querySelectorAll("iframe"), (frame) =>
    attempt(() => {
      const inner = frame.contentDocument;
      if (inner && !inner.querySelector("script[data-site]")) {
        list(inner.querySelectorAll("near-slot,[data-slot]"), (el) => framed.push(cut(el.dataset.slot || el.getAttribute("name"), 100)));
      }
    }),
  );
  const isReserved = (el) => {
    const style = getComputedStyle(el);
    return parseFloat(style.minHeight) > 0 || parseFloat(style.aspectRatio) > 0 || parseFloat(el.style.height) > 0;
  };
  const removed = [...watched.scripts].filter((el) => !el.isConnected);
  return JSON.stringify({
    base: cut(document.baseURI),
    origin: cut(self.origin),
    metas: list(document.querySelectorAll('meta[http-equiv="content-security-policy" i]'), (el) => cut(el.content, 10000)),
    scripts: list([...document.scripts, ...removed], (el) => ({
      attrs: attributes(el), nonce: cut(el.nonce), text: el.src ? "" : cut(el.text, 4000),
      async: el.async || el.defer,
    })),
    styles: list([...document.querySelectorAll("style")].filter((el) => el.textContent.includes("@keyframes near")), (el) => ({
      nonce: cut(el.nonce), text: cut(el.textContent, 4000),
    })),
    styled: list(document.styleSheets, isStyled).includes(true),
    slots: list(document.querySelectorAll("near-slot,[data-slot]"), (el) => ({
      name: cut(el.dataset.slot || el.getAttribute("name"), 100),
      attrs: attributes(el),
      shown: cut(el.dataset.near),
      width: el.offsetWidth,
      height: el.offsetHeight,
      reserved: isReserved(el),
      hidden: !el.checkVisibility?.({ checkVisibilityCSS: true }) || !el.getClientRects().length,
      grew: watched.grew.get(el) || 0,
    })),
    framed: framed.slice(0, most),
    tag: hasTag,
    now,
    platforms,
    gpc: !!navigator.globalPrivacyControl,
    violations: list(watched.violations, (event) => ({
      directive: cut(event.effectiveDirective, 100),
      blocked: cut(event.blockedURI),
      report: event.disposition === "report",
    })),
  });
})();

// SPDX-License-Identifier: Apache-2.0

/** Calls the tag, which answers once it has come: until then the calls wait. */
const near = (...call) => {
  window.near = window.near || ((...args) => (window.near.q = window.near.q || []).push(args));
  window.near(...call);
};

export const consent = (answers) => near("consent", answers);
export const withdraw = () => near("consent", "withdraw");
export const event = (name, props) => near("event", name, props);
export const answer = (name, value) => near("answer", name, value);
export const page = (facts) => near("page", facts);
export const identify = (token) => near("identify", token);
export const get = () => new Promise((resolve) => near("get", resolve));
export const on = (what, listener) => near("on", what, listener);

export const load = ({ src, integrity, nonce, site, policy, ask, why, wait, ecommerce, debug }) => {
  const script = document.createElement("script");
  const flag = (is) => (is ? "" : undefined);
  const data = { site, policy, ask: flag(ask), why: why === true ? "" : why || undefined, wait, ecommerce: flag(ecommerce), debug };
  for (const name in data) if (data[name] !== undefined) script.dataset[name] = data[name];
  if (integrity) Object.assign(script, { integrity, crossOrigin: "anonymous" });
  if (nonce) script.nonce = nonce;
  script.async = true;
  script.src = src;
  document.head.append(script);
};

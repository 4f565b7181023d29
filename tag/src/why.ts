// SPDX-License-Identifier: Apache-2.0

const said = new Set<string>();

/** Tells a developer on localhost, once, why something was not asked or shown. */
export const tellWhy = (text: string) => {
  if (/^(localhost|127\.|\[::1)/.test(location.hostname) && !said.has(text)) console.info("nearside:", text);
  said.add(text);
};

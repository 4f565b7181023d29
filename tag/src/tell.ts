// SPDX-License-Identifier: Apache-2.0

/** Tells the page's scripts, through an event whose listeners' errors are their own. */
export const tell = (what: string, detail: unknown, target: EventTarget = window) =>
  target.dispatchEvent(new CustomEvent("near:" + what, { bubbles: true, detail }));

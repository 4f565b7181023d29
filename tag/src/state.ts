// SPDX-License-Identifier: Apache-2.0

import { withdraw } from "./send";
import { type Answer, Purpose } from "./wire";
import { granted, isResolved } from "./consent";
import { data } from "./script";

// On the site's own origin the server keeps state in a cookie that scripts
// cannot see: an empty entry of web storage stands for it, so that a refusal on
// a later page still expires it. On another origin the entry is the sealed text.
// Web storage is touched only once consent is resolved.

/**
 * The sealed state to send, after keeping an answer's. Where storage is refused,
 * what is left is forgotten, here and by the server.
 */
export const keepState = (answer?: Answer): string | undefined => {
  try {
    const key = "near." + data.site;
    if (granted & Purpose.Storage) {
      if (answer) localStorage[key] = answer.state || localStorage[key] || "";
      return localStorage[key];
    }
    if (isResolved && key in localStorage) {
      // The entry goes with the server's answer: a page may be left before that.
      if (answer) delete localStorage[key];
      else withdraw();
    }
  } catch {
    // Storage is blocked: the visitor is new each time.
  }
};

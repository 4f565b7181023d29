// SPDX-License-Identifier: Apache-2.0

import { granted, isResolved } from "./consent";
import { isCrossOrigin, site } from "./script";
import { Purpose } from "./wire";

// On the site's own origin the server keeps state in a cookie that scripts
// cannot see, and nothing here runs. Elsewhere the browser carries the sealed
// text, and web storage is touched only once consent is resolved.

/**
 * The sealed state to send, after keeping the one of an answer, or forgetting
 * it where storage is refused.
 */
export const keepState = (state?: string): string | undefined => {
  const key = "near." + site;
  try {
    if (isCrossOrigin && isResolved) {
      if (!(granted & Purpose.Storage)) delete localStorage[key];
      else if (state) localStorage[key] = state;
      return localStorage[key];
    }
  } catch {
    // Storage is blocked: the visitor is new each time.
  }
};

// SPDX-License-Identifier: Apache-2.0

import { type Answer, Purpose } from "./wire";
import { withdraw } from "./send";
import { granted, isResolved } from "./consent";
import { data } from "./script";

// On the site's own origin the server keeps state in a cookie that scripts
// cannot see: an entry of web storage stands for it, so that a refusal on a later
// page still expires it. The entry is empty, or the time when a request left whose
// answer may set the cookie and has not come. On another origin it is the sealed
// text. Web storage is touched only once consent is resolved.

const enum Max {
  /** How long a browser waits for the answer to a request of a page that is gone. */
  FlightMillis = 30_000,
}

/** Whether this page has told what is left of another's. */
let isTold = false;

const key = "near." + data.site;

/**
 * The sealed state to send. A path of the server's says that a request to it is
 * leaving, and an answer that it has come. Where storage is refused, what is left
 * is forgotten, here and by the server.
 */
export const keepState = (path?: string, answer?: Answer): string | undefined => {
  try {
    const mayKeep = granted & Purpose.Storage;
    if (!mayKeep && !isResolved) return;
    const kept = localStorage[key];
    const state = kept >= 0 ? "" : kept;
    if (mayKeep) {
      if (path) localStorage[key] = answer?.state || state || (answer ? "" : Date.now());
      return state;
    }
    if (kept != null) {
      if (path) {
        // A page may be left before the answer, and one to another page's request
        // may set the cookie again: until that cannot be, each page says it once.
        // Where the server refused storage itself it has set none.
        const mayCome =
          path === "beacon"
            ? (answer!.granted ?? Purpose.Storage) & Purpose.Storage
            : Date.now() - kept < Max.FlightMillis;
        if (!mayCome) delete localStorage[key];
      } else {
        if (!isTold) withdraw();
        isTold = true;
      }
    }
  } catch {
    // Storage is blocked: the visitor is new each time.
  }
};

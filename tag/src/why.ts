// SPDX-License-Identifier: Apache-2.0

import { data } from "./script";
import { mayAsk } from "./send";
import { authority, isHeld, isResolved } from "./consent";

// Every call stands behind the label WHY, which only the build for developers
// keeps: visitors do not load a word of this.

const said = new Set<string>();

/** Tells a developer on localhost, once, why something was not asked or shown. */
export const tellWhy = (text: string) => {
  if (/^(localhost|127\.|\[::1)/.test(location.hostname) && !said.has(text)) console.info("nearside: " + text);
  said.add(text);
};

const speakers: Record<string, string> = {
  tcf: "the page's consent platform (TCF) says so, or has said nothing yet",
  gpp: "the page's consent platform (GPP) says so, or nothing that can be read",
  gcm: "Google Consent Mode says so",
  owner: "near('consent', ...) says so",
  region: "the page's data-policy says so",
};

/** Tells why consent keeps slots from being asked for, if it does. */
export const tellWhyNotAsked = () => {
  if (!data.site) tellWhy("the script element has no data-site, so the server will refuse everything");
  if (isHeld || mayAsk()) return;
  if (isResolved) tellWhy("slots keep the page's own content because context is refused: " + speakers[authority]);
  else if (authority === "region") {
    tellWhy(
      "nothing is asked or sent because nobody has answered for consent yet: " +
        "near('consent', {context: true, measure: true}) is how the page tells the visitor's answer",
    );
  } else tellWhy("nothing is asked or sent because consent is open: " + speakers[authority]);
};

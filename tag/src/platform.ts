// SPDX-License-Identifier: Apache-2.0

import type { Signals } from "./wire";

// TCF and GPP strings are carried to the server, not read here. A platform on
// the page applies, and so grants nothing, until it says itself that it does
// not.

/** What the page's TCF platform has said. */
export let tcf: Partial<Signals> | undefined;

/** What the page's GPP platform has said. */
export let gpp: Partial<Signals> | undefined;

/** Listens to platforms that have come up since the last call. */
export const watchPlatforms = (onChange: () => void) => {
  if (!tcf && window.__tcfapi) {
    tcf = { gdpr: true };
    window.__tcfapi("addEventListener", 2, (data) => {
      tcf = { gdpr: data?.gdprApplies !== false, tcf: data?.tcString };
      onChange();
    });
  }
  if (!gpp && window.__gpp) {
    gpp = { gppSid: [0] };
    window.__gpp("addEventListener", (event) => {
      const ping = event?.pingData;
      // Anything but "ready" means that the visitor is choosing, maybe again.
      gpp = { gpp: ping?.gppString, gppSid: ping?.signalStatus === "ready" ? ping.applicableSections : [0] };
      onChange();
    });
  }
};

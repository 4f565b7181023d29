// SPDX-License-Identifier: Apache-2.0

import { type Signals, Purpose, pack } from "./wire";

// What a consent platform's API says is read here; its strings are carried to
// the server, which decodes them and decides again. A platform on the page
// applies, and grants nothing until it has said so itself.

/** What the page's TCF platform has said. */
export let tcf: Partial<Signals> | undefined;

/** What that grants; undefined while the visitor is choosing. */
export let tcfGrants: number | undefined;

/** What the page's GPP platform has said. */
export let gpp: Partial<Signals> | undefined;

/** What its sections allow; undefined unless those in force are all of US law and in the string. */
export let gppGrants: number | undefined;

/** Whether an opt-out is in its sections, in force or not. Only the everything build looks. */
export let isOptedOut = false;

/**
 * What TCF's purposes grant: measuring and content chosen by the request take a
 * legitimate interest too, the rest takes consent.
 */
const readTcf = ({ purpose, specialFeatureOptins = {} }: TCData) => {
  const { consents, legitimateInterests } = purpose!;
  const may = (id: number) => consents[id] || legitimateInterests?.[id];
  return pack([
    consents[1],
    may(8) && may(9),
    may(11) || consents[6],
    consents[5],
    consents[6],
    consents[2] && consents[3] && consents[4] && consents[7],
    specialFeatureOptins[1],
    specialFeatureOptins[2],
  ]);
};

/** Listens to platforms that have come up since the last call. */
export const watchPlatforms = (onChange: () => void) => {
  if (!tcf && window.__tcfapi) {
    tcf = { gdpr: true };
    window.__tcfapi("addEventListener", 2, (data) => {
      tcf = { gdpr: data?.gdprApplies !== false, tcf: data?.tcString };
      // With any other status the visitor is choosing, maybe again.
      tcfGrants =
        data?.gdprApplies && data.purpose?.consents && /^(tcl|usera)/.test(data.eventStatus)
          ? readTcf(data)
          : undefined;
      onChange();
    });
  }
  if (!gpp && window.__gpp) {
    gpp = { gppSid: [0] };
    window.__gpp("addEventListener", (event) => {
      const ping = event?.pingData;
      // Section 0 is the platform's own word for not knowing yet.
      const gppSid = ping?.signalStatus === "ready" && ping.applicableSections?.[0] ? ping.applicableSections : [0];
      gpp = { gpp: ping?.gppString, gppSid };
      // The sections of US law begin with number 6.
      gppGrants = gppSid.every((id) => id < 0 || (id > 5 && ping!.sectionList?.includes(id)))
        ? Purpose.OptOut
        : undefined;
      FULL: {
        const sections = JSON.stringify(ping?.parsedSections);
        isOptedOut = /OptOut(":1|Sale":"Y)|Gpc":[1t]/.test(sections);
        // A dash in number 6 says that its law does not apply.
        if (!/OptOut/.test(sections) || (gppSid.includes(6) && /Sale":"-/.test(sections))) gppGrants = undefined;
      }
      onChange();
    });
  }
};

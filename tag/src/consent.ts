// SPDX-License-Identifier: Apache-2.0

import { consentMode, readConsentMode, unanswered, watchConsentMode } from "./gcm";
import { data } from "./script";
import { withdraw } from "./send";
import { gpp, gppGrants, gppRefuses, tcf, tcfGrants, watchPlatforms } from "./platform";
import { type Signals, Purpose, names, pack } from "./wire";

const owner: Record<string, boolean> = {};
let listen: ((before: number) => void) | undefined;

/** The purposes granted now. Read it when you need it; never keep a copy. */
export let granted = 0;

/** Which signal could grant them. */
export let authority: string;

/** Whether somebody entitled to answer has answered; the page's policy is nobody's answer. */
export let isResolved: boolean;

/**
 * True until the page is parsed and every consent platform has had its time.
 * Until then nothing happens that rests on nobody having spoken.
 */
export let isHeld = true;

/** The signals that the grant of now rests on, and what the server took off it. */
let heard: string;
let narrowed = 0;

const getOwner = (answer: boolean) => pack(names.map((name) => owner[name] === answer));

/** The signals of now, as the server will see them. */
export const getSignals = (): Signals => ({
  policy: data.policy,
  owner: { granted: getOwner(true), refused: getOwner(false) },
  ...(HAS_PLATFORMS && { ...tcf, ...gpp }),
  gpc: !!navigator.globalPrivacyControl,
  ...(HAS_PLATFORMS && { gcm: consentMode }),
});

/**
 * Folds signals into what is granted, by which authority: one authority grants,
 * everybody may refuse. The server folds the same signals again, knows the
 * region and the owner's settings, and only narrows; shared cases hold both to
 * one reading.
 */
const evaluate = ({ owner, gcm, gppSid, gdpr, gpc }: Signals) => {
  // From the lowest authority to the highest: the last that is present counts.
  let grants: number | undefined = isHeld ? 0 : { "us-optout": Purpose.OptOut, uk: Purpose.Measure }[data.policy!] || 0;
  authority = "region";
  // A platform that this build cannot read may have been told no.
  if (!HAS_PLATFORMS && (window.__tcfapi || window.__gpp)) grants = 0;
  if (owner.granted | owner.refused) {
    authority = "owner";
    grants = owner.granted;
  }
  if (HAS_PLATFORMS) {
    for (const _ in gcm) {
      authority = "gcm";
      grants = readConsentMode(gcm);
    }
    if (!gcm) {
      authority = "gcm"; // which waits for its update
      grants = undefined;
    }
    // US law asks for no consent, so its sections leave the answer to who has one.
    if (gppSid?.some((id) => id >= 0) && (authority === "region" || !gppGrants)) {
      authority = "gpp";
      grants = gppGrants;
    }
    if (gdpr) {
      authority = "tcf";
      grants = tcfGrants;
    }
  }
  isResolved = authority !== "region" && grants != null && (!HAS_PLATFORMS || authority !== unanswered);
  granted = grants! & ~(owner.refused | (HAS_PLATFORMS ? gppRefuses | narrowed : narrowed) | (gpc ? Purpose.Share : 0));
  if (!(granted & Purpose.Storage)) granted &= ~Purpose.OfProfile;
  if (!(granted & Purpose.Measure)) granted &= ~Purpose.Share;
};

/** Evaluates again and tells the listener. */
const update = () => {
  if (HAS_PLATFORMS) watchPlatforms(update);
  const before = granted;
  const wasResolved = isResolved;
  const signals = getSignals();
  if (HAS_SLOTS && heard !== (heard = JSON.stringify(signals))) narrowed = 0;
  evaluate(signals);
  // Who has answered and is silent now has taken nothing back: that is waited for.
  isHeld = !granted && !isResolved && (wasResolved || isHeld);
  listen?.(before);
};

/** Takes what the site's owner says: purposes by name, or "withdraw" for none of all. */
export const tellConsent = (said: "withdraw" | Record<string, boolean>) => {
  if (said === "withdraw") names.forEach((name) => (owner[name] = false));
  else Object.assign(owner, said);
  if (!HAS_SLOTS) narrowed = 0; // the smallest build hears no other signal change
  update();
  // State may be left from another page, out of this script's sight.
  if (said === "withdraw") withdraw();
};

/** Takes away what the server refused. It stands until a signal changes. */
export const narrow = (refused: number) => {
  narrowed |= refused;
  granted &= ~refused;
};

/** Starts to watch every signal; calls back with what was granted before. */
export const watchConsent = (onVerdict: (before: number) => void) => {
  if (HAS_PLATFORMS) watchConsentMode(update);
  listen = onVerdict;
  update();
};

/** Lets silence count once consent platforms have had their time, which may be none. */
export const endHold = () => {
  update();
  const release = () => {
    isHeld = false;
    update();
  };
  setTimeout(release, !HAS_PLATFORMS || isResolved || authority === "region" ? 0 : ((data.wait || 500) as number));
};

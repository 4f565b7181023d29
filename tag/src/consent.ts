// SPDX-License-Identifier: Apache-2.0

import { consentMode, readConsentMode, unanswered, watchConsentMode } from "./gcm";
import { gpp, gppGrants, isOptedOut, tcf, tcfGrants, watchPlatforms } from "./platform";
import { withdraw } from "./send";
import { data } from "./script";
import { type Signals, Purpose, names, pack } from "./wire";

const enum Max {
  FirstPauseMillis = 1000,
  PauseMillis = 50_000,
}

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

/** The signals that the grant of now rests on. */
export let heard: string;

/** What the server left of it. */
let narrowed = -1;

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
const evaluate = ({ owner, gpc }: Signals) => {
  // From the lowest authority to the highest: the last that is present counts.
  let grants: number | undefined =
    isHeld ? 0 : data.policy === "uk" ? Purpose.Measure : data.policy === "us-optout" ? Purpose.OptOut : 0;
  authority = "region";
  // A platform that this build cannot read may have been told no.
  if (!HAS_PLATFORMS && (window.__tcfapi || window.__gpp)) grants = 0;
  if (owner.granted | owner.refused) {
    authority = "owner";
    grants = owner.granted;
  }
  if (HAS_PLATFORMS) {
    for (const _ in consentMode) {
      authority = "gcm";
      grants = readConsentMode(consentMode);
    }
    if (!consentMode) {
      authority = "gcm"; // which waits for its update
      grants = undefined;
    }
    // US law asks for no consent, so its sections leave the answer to who has one.
    if (gpp?.gppSid!.some((id) => id >= 0) && (authority === "region" || !gppGrants)) {
      authority = "gpp";
      grants = gppGrants;
    }
    if (tcf?.gdpr) {
      authority = "tcf";
      grants = tcfGrants;
    }
  }
  isResolved = grants != null && authority !== "region" && (!HAS_PLATFORMS || authority !== unanswered);
  // Any section may hold an opt-out; only the everything build looks.
  let mayShare = !gpc && !(HAS_PLATFORMS && gpp);
  FULL: mayShare = !gpc && !isOptedOut;
  granted = grants! & narrowed & ~owner.refused;
  if (!(granted & Purpose.Storage)) granted &= ~Purpose.OfProfile;
  if (!(granted & Purpose.Measure && mayShare)) granted &= ~Purpose.Share;
};

/** Looks for signals that have come up, evaluates all of them again and tells the listener. */
export const update = () => {
  if (HAS_PLATFORMS) {
    watchPlatforms(update);
    watchConsentMode(update);
  }
  const before = granted;
  const wasResolved = HAS_PLATFORMS && isResolved;
  const signals = getSignals();
  if (heard !== (heard = JSON.stringify(signals))) narrowed = -1;
  evaluate(signals);
  // Who has answered and is silent now has taken nothing back: that is waited for.
  isHeld = !granted && !isResolved && (wasResolved || isHeld);
  listen?.(before);
};

/** Takes what the site's owner says: purposes by name, or "withdraw" for none of all. */
export const tellConsent = (said: "withdraw" | Record<string, boolean>) => {
  const isWithdrawal = said === "withdraw";
  names.forEach((name) => (owner[name] = isWithdrawal ? false : (said[name] ?? owner[name])!));
  update();
  // State may be left from another page, out of this script's sight.
  if (isWithdrawal) withdraw();
};

/** Takes away what the server did not leave. It stands until a signal changes. */
export const narrow = (left: number) => {
  narrowed &= left;
  granted &= left;
};

/** Starts to watch every signal; calls back with what was granted before. */
export const watchConsent = (onVerdict: (before: number) => void) => {
  listen = onVerdict;
  granted = 0; // what the queue granted is told now
  update();
};

/** Listens to what comes up late, after pauses that double: for a minute. Each request looks by itself. */
const lookOut = (pause: number) => {
  watchPlatforms(update);
  watchConsentMode(update);
  if (pause < Max.PauseMillis) setTimeout(lookOut, pause, pause + pause);
};

/** Lets silence count once consent platforms have had their time, which may be none. */
export const endHold = () => {
  update();
  const release = () => {
    isHeld = false;
    update();
    if (HAS_PLATFORMS) lookOut(Max.FirstPauseMillis);
  };
  setTimeout(release, !HAS_PLATFORMS || isResolved || authority === "region" ? 0 : ((data.wait || 500) as number));
};

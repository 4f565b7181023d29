// SPDX-License-Identifier: Apache-2.0

import { consentMode, readConsentMode, watchConsentMode } from "./gcm";
import { gpp, tcf, watchPlatforms } from "./platform";
import { policy, wait } from "./script";
import { type Signals, Purpose } from "./wire";

/** The purposes by name, in the order of their bits. */
const names = "storage measure context profile personalise share geo device".split(" ");

/**
 * Folds signals into what is granted, by which authority: one authority grants,
 * everybody may refuse. The server folds the same signals again, knows the
 * region and the owner's settings, and only narrows; shared cases hold both to
 * one reading.
 */
export const evaluate = (signals: Signals): [granted: number, authority: string, resolved: boolean] => {
  const { policy, owner, gppSid } = signals;
  // From the lowest authority to the highest: the last that is present counts.
  let authority = "region";
  let granted = policy === "us-optout" ? Purpose.OptOut : policy === "uk" ? Purpose.Measure : 0;
  let refused = signals.gpc ? Purpose.Share : 0;
  if (owner.granted | owner.refused) {
    authority = "owner";
    granted = owner.granted;
    refused |= owner.refused;
  }
  for (const _ in signals.gcm) {
    authority = "gcm";
    granted = readConsentMode(signals.gcm);
  }
  if (gppSid?.length ? gppSid.some((id) => id !== -1) : signals.gpp) {
    authority = "gpp";
    granted = 0;
  }
  if (signals.gdpr ?? signals.tcf) {
    authority = "tcf";
    granted = 0;
  }
  const resolved = granted > 0 || authority === "owner";
  granted &= ~refused;
  if (!(granted & Purpose.Storage)) granted &= ~(Purpose.Profile | Purpose.Personalise);
  if (!(granted & Purpose.Measure)) granted &= ~Purpose.Share;
  return [granted, authority, resolved];
};

const owner: Record<string, boolean> = {};
let listen: ((before: number) => void) | undefined;

/** The purposes granted now. Read it when you need it; never keep a copy. */
export let granted = 0;

/** Which signal could grant them. */
export let authority: string;

/** Whether somebody entitled to answer has answered. */
export let isResolved: boolean;

/**
 * True until the page is parsed and every consent platform has had its time.
 * Until then nothing happens that rests on nobody having spoken.
 */
export let isHeld = true;

const getOwner = (answer: boolean) =>
  names.reduce((purposes, name, i) => (owner[name] === answer ? purposes | (1 << i) : purposes), 0);

/** The signals of now, as the server will see them. */
export const getSignals = (): Signals => ({
  policy,
  owner: { granted: getOwner(true), refused: getOwner(false) },
  ...tcf,
  ...gpp,
  gpc: !!navigator.globalPrivacyControl,
  gcm: consentMode,
});

/** Evaluates again and tells the listener. */
const update = () => {
  watchPlatforms(update);
  const before = granted;
  [granted, authority, isResolved] = evaluate(getSignals());
  if (!consentMode || (isHeld && authority === "region")) {
    granted = 0;
    isResolved = false;
  }
  if (granted) isHeld = false;
  listen?.(before);
};

/** Takes what the site's owner says: purposes by name, or "withdraw" for none of all. */
export const tellConsent = (said: "withdraw" | Record<string, boolean>) => {
  if (said === "withdraw") names.forEach((name) => (owner[name] = false));
  else Object.assign(owner, said);
  update();
};

/** Takes away what the server refused. It stands until a signal changes. */
export const narrow = (refused: number) => {
  granted &= ~refused;
};

/** Starts to watch every signal; calls back with what was granted before. */
export const watchConsent = (onVerdict: (before: number) => void) => {
  watchConsentMode(update);
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
  setTimeout(release, isResolved || authority === "region" ? 0 : (wait as number));
};

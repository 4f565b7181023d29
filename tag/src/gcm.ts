// SPDX-License-Identifier: Apache-2.0

import { Purpose } from "./wire";
import { tellEcommerce } from "./ecommerce";

type States = Record<string, any>;

/** The purposes that need each type of Consent Mode; it cannot grant geo and device. */
const needs: Record<string, number> = {
  functionality_storage: Purpose.Storage,
  analytics_storage: Purpose.Measure,
  personalization_storage: Purpose.OfProfile,
  ad_storage: Purpose.Share,
  ad_user_data: Purpose.Share,
  ad_personalization: Purpose.Share,
};

const defaults: States = {};
const updates: States = {};
let waits = 0;

/** Google Consent Mode's states by type; undefined while a default waits for its update. */
export let consentMode: Record<string, string> | undefined = {};

/** The authority whose word is nobody's answer: Consent Mode, as long as it has defaults alone. */
export let unanswered = "gcm";

/** What states grant: a type never set is refused, and none is needed for context. */
export const readConsentMode = (states: States) => {
  let granted: number = Purpose.OptOut;
  for (const type in needs) if (states[type] !== "granted") granted &= ~needs[type]!;
  return granted;
};

/** The dataLayer that is listened to. */
let layer: any[];

/**
 * Reads what the page's dataLayer holds and listens to what is pushed later; again
 * where the page has put another in its place.
 */
export const watchConsentMode = (onChange: () => void) => {
  if (layer && layer === window.dataLayer) return;
  const own: any[] = (layer = window.dataLayer ||= []);
  const apply = (_?: string) => {
    consentMode = { ...defaults, ...updates };
    onChange();
  };
  const read = (entry: [string, string, States]) => {
    FULL: tellEcommerce(entry);
    if (entry?.[0] !== "consent" || !entry[2]) return;
    const states = entry[2];
    const isDefault = entry[1] === "default";
    for (const type in states) {
      // The tag does not know the region: a grant that is limited to one does
      // not count, a refusal does, and no other default takes it back.
      if (
        needs[type] &&
        (!isDefault || (defaults[type] !== "denied" && !(states.region && states[type] === "granted")))
      ) {
        (isDefault ? defaults : updates)[type] = states[type];
      }
    }
    if (isDefault) {
      consentMode = undefined;
      waits++;
      // No default shortens the wait of another.
      setTimeout(() => --waits || apply(), states.wait_for_update);
    } else apply((unanswered = ""));
  };
  const push = own.push;
  own.forEach?.(read); // some pages have an object there
  own.push = (...entries) => {
    entries.forEach(read);
    return push.apply(own, entries);
  };
};

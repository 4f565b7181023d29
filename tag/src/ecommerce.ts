// SPDX-License-Identifier: Apache-2.0

import { tellEvent } from "./events";
import { data } from "./script";

// GA4's ecommerce events as https://developers.google.com/analytics/devguides/collection/ga4/ecommerce
// has them: pushed by a tag manager's page as {event, ecommerce: {...}}, or by
// gtag as ("event", name, {...}).

const names = /^(view_item|add_to_cart|remove_from_cart|begin_checkout|purchase)$/;

/** Tells what an entry of the page's dataLayer says was looked at or bought, where data-ecommerce asks for it. */
export const tellEcommerce = (entry: any) => {
  if (data.ecommerce == null) return;
  try {
    const [name, said] = entry[0] === "event" ? [entry[1], entry[2]] : [entry.event, entry.ecommerce];
    // Other parameters may be of a person.
    const { transaction_id, value, currency, items } = said;
    if (names.test(name)) tellEvent(name, { transaction_id, value, currency, items });
  } catch {
    // A page may push anything at all.
  }
};

// SPDX-License-Identifier: Apache-2.0

import { data } from "./script";
import { tellEvent } from "./events";

// GA4's ecommerce events as https://developers.google.com/analytics/devguides/collection/ga4/ecommerce
// has them: pushed by a tag manager's page as {event, ecommerce: {...}}, or by
// gtag as ("event", name, {...}).

const names = /^(view_item|add_to_cart|remove_from_cart|view_cart|begin_checkout|purchase|refund)$/;

/** Tells what an entry of the page's dataLayer says was looked at or bought, where data-ecommerce asks for it. */
export const tellEcommerce = (entry: any) => {
  if (!("ecommerce" in data) || !entry) return;
  const [name, said] = entry[0] === "event" ? [entry[1], entry[2]] : [entry.event, entry.ecommerce];
  if (!names.test(name) || !said) return;
  // Other parameters may be of a person.
  const { transaction_id, value, currency, items } = said;
  tellEvent(name, { transaction_id, value, currency, items });
};

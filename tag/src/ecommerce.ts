// SPDX-License-Identifier: Apache-2.0

import { tellEvent } from "./events";
import { data } from "./script";

// GA4's ecommerce events as https://developers.google.com/analytics/devguides/collection/ga4/ecommerce
// has them: pushed by a tag manager's page as {event, ecommerce: {...}}, or by
// gtag as ("event", name, {...}).

const names = /^(view_item|(add_to|remove_from)_cart|begin_checkout|purchase)$/;

/** What is told of an event and of its items: other parameters may be of a person. */
const members =
  "transaction_id value currency items item_id item_name item_category item_brand item_variant price quantity".split(" ");

/** What was told: a page may put a copy of its dataLayer in the place of that. */
const told = new WeakSet<object>();

/** Tells what an entry of the page's dataLayer says was looked at or bought, where data-ecommerce asks for it. */
export const tellEcommerce = (entry: any) => {
  try {
    const [name, said] = entry[0] === "event" ? [entry[1], entry[2]] : [entry.event, entry.ecommerce];
    if (data.ecommerce != null && said && names.test(name) && !told.has(entry)) tellEvent(name, said, members);
    told.add(entry);
  } catch {
    // A page may push anything at all.
  }
};

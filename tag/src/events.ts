// SPDX-License-Identifier: Apache-2.0

import { granted, isResolved } from "./consent";
import { type Page, page } from "./page";
import { enqueue, schedule } from "./send";
import { tellWhy } from "./why";
import { type Props, Purpose } from "./wire";

const enum Max {
  /** In characters; the server counts bytes, and refuses that event alone. */
  Props = 8192,
}

let viewed: Page;
let visibleSince = 0;
let visibleMillis = 0;

/**
 * Takes an event. While nobody has answered for consent it waits in memory;
 * refused, it is forgotten.
 */
export const tellEvent = (name: string, props: Props = {}) => {
  if (JSON.stringify(props).length > Max.Props) {
    WHY: tellWhy(`event ${name} is over 8 KiB`);
  } else if (granted & Purpose.Measure || !isResolved) {
    enqueue({ id: page._id + "." + page._events++, name, at: Date.now(), props });
  }
};

/** Counts the page view as soon as it may be counted. */
export const viewPage = () => {
  if (granted & Purpose.Measure && viewed !== page) {
    viewed = page;
    tellEvent("page_view");
    schedule(0);
  }
};

/**
 * Counts the visible time since the last count, if it is a second or more; call
 * it when visibility may have changed and when a page view ends.
 */
export const tellEngagement = () => {
  const now = Date.now();
  visibleMillis += now - (visibleSince || now);
  visibleSince = document.hidden ? 0 : now;
  if (visibleMillis > 999) {
    tellEvent("user_engagement", { engagement_time_msec: visibleMillis });
    visibleMillis = 0;
  }
};

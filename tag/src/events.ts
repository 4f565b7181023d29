// SPDX-License-Identifier: Apache-2.0

import { type Props, Purpose } from "./wire";
import { granted, isHeld } from "./consent";
import { enqueue, resumeUnsent, schedule } from "./send";
import { tellWhy } from "./why";
import { page } from "./page";

const enum Max {
  /** In characters; the server counts bytes, and refuses that event alone. */
  Props = 8192,
}

let visibleSince = 0;
let visibleMillis = 0;

/**
 * Takes an event. While consent is being asked for it waits in memory; without a
 * grant by then it is forgotten: what came before a yes is not counted. Of the
 * properties, at any depth, those named are told; all of them without a list.
 */
export const tellEvent = (name: string, props: Props = {}, members?: string[]) => {
  // The page may use its object again before the event is sent.
  const text = JSON.stringify(props, members);
  if (text.length > Max.Props) {
    WHY: tellWhy(`event ${name} is dropped: its properties are over 8 KiB`);
  } else if (granted & Purpose.Measure || isHeld) {
    enqueue({ id: page._id + "." + page._events++, at: Date.now(), name, props: JSON.parse(text) });
  }
};

/** Counts the page view as soon as it may be counted. */
export const viewPage = () => {
  if (granted & Purpose.Measure && !page._isViewed) {
    page._isViewed = true;
    FULL: {
      visibleMillis = visibleSince = 0;
      tellEngagement();
      resumeUnsent();
    }
    tellEvent("page_view");
    schedule(0);
  }
};

/** Takes what the visitor says of himself or herself, to a question by its name. */
export const tellAnswer = (name: string, value: unknown) => tellEvent("answer", { [name]: value });

/**
 * Counts the visible time since the last count, if it is a second or more; call
 * it when visibility or the grant of measure may have changed and when a page view
 * ends. What was refused, or not granted yet, is no time.
 */
export const tellEngagement = () => {
  const now = Date.now();
  visibleMillis += now - (visibleSince || now);
  visibleSince = document.hidden || !(granted & Purpose.Measure) ? 0 : now;
  if (visibleMillis > 999) {
    tellEvent("user_engagement", { engagement_time_msec: visibleMillis });
    visibleMillis = 0;
  }
};

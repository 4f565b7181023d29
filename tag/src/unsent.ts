// SPDX-License-Identifier: Apache-2.0

import { granted, isResolved } from "./consent";
import { data } from "./script";
import { Purpose, type WireEvent } from "./wire";
import type { Page } from "./page";

// Events that the server could not take outlive the page in the tab's web
// storage, where storage and measure are granted. The server keeps each event
// once, so one that arrived after all does no harm.

/** An event that is still to be sent, and the page view it is of. */
export interface Waiting {
  _event: WireEvent;
  _page: Page;
}

/** The same by names that later builds know too. */
type Kept = [event: WireEvent, id: string, url: string, ref: string];

const key = "near.unsent." + data.site;

const mayKeep = () => granted & Purpose.Storage && granted & Purpose.Measure;

/** Keeps the events that are still to be sent; none of them forgets what was kept. */
export const keepUnsent = (events: Waiting[]) => {
  try {
    if (mayKeep() && events[0]) {
      sessionStorage[key] = JSON.stringify(
        events.map(({ _event, _page: { _id, _url, _ref } }): Kept => [_event, _id, _url, _ref]),
      );
    } else if (isResolved || granted & Purpose.Storage) delete sessionStorage[key];
  } catch {
    // Storage is blocked or full: they live as long as the page.
  }
};

/** Takes what an earlier page kept, once it may be read; calls back with each event and its page view. */
export const takeUnsent = (take: (event: WireEvent, page: Page) => void) => {
  try {
    const pages: Record<string, Page> = {};
    if (mayKeep()) {
      JSON.parse(sessionStorage[key]).forEach(([event, _id, _url, _ref]: Kept) =>
        take(event, (pages[_id] = pages[_id] || { _id, _url, _ref, _facts: {}, _events: 0 })),
      );
      delete sessionStorage[key];
    }
  } catch {
    // Nothing was kept, or nothing that can be read.
  }
};

// SPDX-License-Identifier: Apache-2.0

import { granted, isResolved } from "./consent";
import { data } from "./script";
import { Purpose, type WireEvent } from "./wire";
import type { Page } from "./page";

// Events that the server could not take outlive the page in the tab's web
// storage, where storage and measure are granted. The server keeps each event
// once, so one that arrived after all does no harm.

/** An event and the page view it is of, by names that later builds know too. */
type Kept = [event: WireEvent, id: string, url: string, ref: string];

const getKey = () => "near.unsent." + data.site;

const mayKeep = () => granted & Purpose.Storage && granted & Purpose.Measure;

/** Keeps the events that are still to be sent; none of them forgets what was kept. */
export const keepUnsent = (events: WireEvent[], pages: WeakMap<WireEvent, Page>) => {
  try {
    if (mayKeep() && events[0]) {
      sessionStorage[getKey()] = JSON.stringify(
        events.map((event): Kept => {
          const { _id, _url, _ref } = pages.get(event)!;
          return [event, _id, _url, _ref];
        }),
      );
    } else if (isResolved || granted & Purpose.Storage) delete sessionStorage[getKey()];
  } catch {
    // Storage is blocked or full: they live as long as the page.
  }
};

/** Takes what an earlier page kept, once it may be read; calls back with each event and its page view. */
export const takeUnsent = (take: (event: WireEvent, page: Page) => void) => {
  try {
    const pages: Record<string, Page> = {};
    if (mayKeep()) {
      JSON.parse(sessionStorage[getKey()]).forEach(([event, _id, _url, _ref]: Kept) =>
        take(event, (pages[_id] = pages[_id] || { _id, _url, _ref, _facts: {}, _events: 0 })),
      );
      delete sessionStorage[getKey()];
    }
  } catch {
    // Nothing was kept, or nothing that can be read.
  }
};

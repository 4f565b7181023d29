// SPDX-License-Identifier: Apache-2.0

import { tellEvent } from "./events";

// Core Web Vitals as https://web.dev/articles/vitals defines them, in
// milliseconds but for layout shift, once per loaded document. A browser that
// does not measure one leaves it out.

const enum Max {
  /** A session of layout shifts lasts at most so long, and ends after so long without one. */
  SessionMillis = 5000,
  GapMillis = 1000,
  /** Of so many interactions the slowest is passed over. */
  PerOutlier = 50,
}

let paint = 0;
let shift = 0;
let session = 0;
let start = 0;
let end = 0;
let isTold = false;
/** The longest event of each interaction, by its number. */
const interactions: Record<number, number> = {};

/** Starts to measure. What was before is in the browser's buffers. */
export const watchVitals = () => {
  watch("largest-contentful-paint", ({ startTime }) => (paint = startTime));
  watch("layout-shift", ({ startTime, value, hadRecentInput }) => {
    if (hadRecentInput) return;
    if (startTime - end > Max.GapMillis || startTime - start > Max.SessionMillis) {
      session = 0;
      start = startTime;
    }
    end = startTime;
    session += value;
    shift = Math.max(shift, session);
  });
  watch("event", ({ interactionId: id, duration }) => {
    if (id) interactions[id] = Math.max(interactions[id] || 0, duration);
  });
};

const watch = (type: string, onEntry: (entry: any) => void) =>
  // A type that the browser does not know is passed by.
  new PerformanceObserver((list) => list.getEntries().forEach(onEntry)).observe({
    type,
    buffered: true,
  });

/** Tells what was measured, once: when the page is first left or hidden. */
export const tellVitals = () => {
  if (isTold) return;
  isTold = true;
  const [navigation] = performance.getEntriesByType("navigation") as any[];
  const durations = Object.values(interactions).sort((a, b) => b - a);
  // The visitor began to wait when a prerendered page was shown.
  const since = (millis: number) => (millis && Math.max(0, millis - (navigation?.activationStart || 0))) || undefined;
  tellEvent("web_vitals", {
    lcp: since(paint),
    cls: "LayoutShift" in window ? +shift.toFixed(4) : undefined,
    inp: durations[(durations.length / Max.PerOutlier) | 0],
    ttfb: since(navigation?.responseStart),
  });
};

// SPDX-License-Identifier: Apache-2.0

import { Purpose } from "./wire";
import { granted } from "./consent";
import { type Slot, slots } from "./slot";
import { tellEvent } from "./events";

// The MRC's viewable display impression: half of the pixels for a continuous
// second in a visible tab; three tenths are enough from 970 x 250 pixels up.

const enum Viewed {
  BigPixels = 242_500,
  Millis = 1000,
}

/** The decisions that were viewed in this document, by their ids: what is capped is counted by them where no state may. */
export const viewed = /* @__PURE__ */ new Set<string>();

/** Starts and stops the seconds; call it when what they depend on has changed. */
export const watchViews = () =>
  slots.forEach((slot) => {
    if (slot._decision?.id && slot._isViewed && !document.hidden) {
      slot._timer ||= setTimeout(countView, Viewed.Millis, slot);
    } else slot._timer = clearTimeout(slot._timer) as undefined;
  });

const tellSlot = (name: string, slot: Slot) =>
  tellEvent(name, { decision: slot._decision!.id, shown: slot._el.dataset.near });

const countView = (slot: Slot) => {
  slot._timer = clearTimeout(slot._timer) as undefined;
  if (slots.get(slot._el) !== slot) return;
  if (slot._el.dataset.near === "variant") viewed.add(slot._decision!.id);
  // What is viewed before it may be counted is counted then.
  if (!slot._decision!._isViewed && granted & Purpose.Measure) {
    slot._decision!._isViewed = true;
    tellSlot("slot_impression", slot);
  }
};

/** Watches how much of a slot's element is in view. */
export const observer = /* @__PURE__ */ new IntersectionObserver(
  (entries) => {
    entries.forEach((entry) => {
      const slot = slots.get(entry.target);
      if (slot) {
        const pixels = slot._el.offsetWidth * slot._el.offsetHeight;
        slot._isInView = entry.isIntersecting;
        slot._isViewed = entry.intersectionRatio >= (pixels < Viewed.BigPixels ? 0.5 : 0.3);
      }
    });
    watchViews();
  },
  { threshold: [0, 0.3, 0.5] },
);

/** Counts clicks in slots; a genuine click also proves that the slot was viewed. */
export const watchClicks = () =>
  addEventListener(
    "click",
    (click) => {
      // A script's click may have no element for its target.
      const slot = slots.get((click.isTrusted && (click.target as Element).closest("near-slot,[data-slot]")) as Element);
      if (slot?._decision?.id) {
        countView(slot);
        tellSlot("slot_click", slot);
      }
    },
    true,
  );

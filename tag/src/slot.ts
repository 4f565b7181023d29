// SPDX-License-Identifier: Apache-2.0

import { tellWhy } from "./why";
import { observer, watchViews } from "./impression";
import { buildBecause } from "./because";
import { isAskedInVain } from "./survey";
import { isHeld } from "./consent";
import type { Decision, WireSlot } from "./wire";
import { mayAsk, schedule } from "./send";
import { render } from "./kinds";

const enum Max {
  Slots = 32,
  /** How long after a visitor's own act a slot in view may still change. */
  ActMillis = 500,
}

/** What a slot shows: a variant, the page's own content, or that because the answer came late. */
export type Shown = "variant" | "default" | "late";

/** A slot on the page. */
export interface Slot {
  _el: HTMLElement;
  _ask: WireSlot;
  /** The answer, undefined until there is one. */
  _decision?: Decision;
  /** What a variant took the place of, kept to be put back. */
  _own?: [Node[], string, string];
  /** Whether any of it is in view, whether enough is, and the timer that waits for long enough. */
  _isInView?: boolean;
  _isViewed?: boolean;
  _timer?: number;
}

/** The slots on the page by their elements. */
export const slots = new Map<Element, Slot>();

let isAct = false;

/** Notes that what follows was brought about by the visitor: a navigation, a grant. */
export const noteAct = () => {
  isAct = navigator.userActivation?.isActive ?? true;
  setTimeout(() => (isAct = false), Max.ActMillis);
};

/** Looks at which slots the page has now, and asks for the new ones. */
export const scanSlots = () => {
  slots.forEach((_, el) => el.isConnected || slots.delete(el));
  document.querySelectorAll<HTMLElement>("near-slot,[data-slot]").forEach((el) => {
    // A slot that the parser is not past has not got all its own content yet.
    if (slots.has(el) || (document.readyState === "loading" && !el.nextSibling)) return;
    const { slot, limit, item } = el.dataset;
    const name = slot || el.getAttribute("name")!;
    WHY: if (!/^[a-z\d-]{1,64}$/.test(name)) tellWhy(`slot "${name}" is asked for in vain: a name has only a-z, 0-9 and -`);
    slots.set(el, { _el: el, _ask: { name, limit: +limit! || undefined, item } });
    observer.observe(el);
  });
  if (mayAsk()) schedule(0);
  else if (!isHeld) restoreSlots();
};

/** The slots to ask for. */
export const getUnasked = () => [...slots.values()].filter((slot) => !slot._decision).slice(0, Max.Slots);

const show = (el: HTMLElement, nodes: (Node | string)[], lang?: string, dir?: string) => {
  el.replaceChildren(...nodes);
  // An empty attribute would say that the language is unknown.
  if (lang) el.lang = lang;
  else el.removeAttribute("lang");
  if (dir) el.dir = dir;
  else el.removeAttribute("dir");
};

const fill = (slot: Slot, decision: Decision): Shown => {
  const _el = slot._el;
  if (decision.kind === "default") return "default";
  FULL: if (isAskedInVain(decision.content)) return "default";
  const isSeen = slot._isInView !== false && getComputedStyle(_el).visibility !== "hidden";
  // What the visitor looks at does not change unless by the visitor's own act.
  if (_el.contains(document.activeElement) || (isSeen && !isAct)) return "late";
  const nodes = render(decision.kind, decision.content!, _el);
  if (nodes) {
    FULL: nodes.push(...buildBecause(decision));
    slot._own = [[..._el.childNodes], _el.lang, _el.dir];
    show(_el, nodes, decision.lang, decision.dir);
  }
  return "variant";
};

/** Shows what was decided in the slots that were asked for. */
export const fillSlots = (asked: Slot[], decisions?: Decision[]) => {
  asked.forEach((slot) => {
    // A slot that the server passed over is not asked for again.
    const answer = decisions?.find((one) => one.slot === slot._ask.name);
    const decision = (slot._decision = answer || ({ kind: "default" } as Decision));
    let shown: Shown = "default";
    try {
      shown = fill(slot, decision);
    } catch (error) {
      console.error(error); // content this tag cannot show leaves the page's own
    }
    slot._el.dataset.near = shown;
    WHY: if (shown !== "variant" && decision.id) {
      tellWhy(
        `slot ${slot._ask.name} keeps the page's own content: ` +
          (shown === "late"
            ? "it was in view when the answer came, and a change would move the page (is the snippet's style there?)"
            : decision.because || decision.reason),
      );
    }
  });
  watchViews();
};

/** Shows the page's own content everywhere, at once; slots are to be asked for again. */
export const restoreSlots = () => {
  slots.forEach((slot) => {
    if (slot._own) show(slot._el, ...slot._own);
    slot._el.dataset.near = "default";
    slot._own = slot._decision = undefined;
  });
  watchViews();
};

/** Finds slots whenever they appear, whoever adds them. */
export const watchSlots = () =>
  customElements.define(
    "near-slot",
    class extends HTMLElement {
      connectedCallback() {
        setTimeout(scanSlots);
      }
    },
  );

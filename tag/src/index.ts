// SPDX-License-Identifier: Apache-2.0

import { watchClicks, watchViews } from "./impression";
import { dropEvents, flights, forgetUnsent, identify, send, sentUnder, startSending, withdraw } from "./send";
import { authority, endHold, getSignals, granted, isHeld, isResolved, tellConsent, update, watchConsent } from "./consent";
import { watchErrors } from "./errors";
import { openDebug } from "./open-debug";
import { tellAnswer, tellEngagement, tellEvent, viewPage } from "./events";
import { watchMarkup } from "./markup";
import { whenNavigated } from "./spa";
import { Purpose } from "./wire";
import { tell } from "./tell";
import { noteAct, restoreSlots, scanSlots, slots, watchSlots } from "./slot";
import { keepState } from "./state";
import { page, turnPage } from "./page";
import { tellWhy, tellWhyNotAsked } from "./why";
import { watchVitals } from "./vitals";

const enum Max {
  /** How long the first request waits for the rest of the page's slots. */
  GatherMillis = 100,
}

const commands: Record<string, (...args: any[]) => void> = {
  consent: tellConsent,
  event: tellEvent,
  get: (callback: (now: unknown) => void) =>
    callback({
      granted,
      authority,
      resolved: isResolved,
      ...(HAS_SLOTS && {
        signals: getSignals(),
        decisions: [...slots.values()].flatMap((slot) => slot._decision || []),
      }),
    }),
  ...(HAS_SLOTS && {
    /** What the site says of the page. */
    page: (facts: object) => Object.assign(page._facts, facts),
    identify,
    on: (what: string, callback: (value: unknown) => void) =>
      addEventListener("near:" + what, (event) => callback((event as CustomEvent).detail)),
  }),
};

const onVerdict = (before: number) => {
  if (!(isHeld || granted & Purpose.Measure)) dropEvents();
  FULL: {
    if (~granted & (Purpose.Storage | Purpose.Measure)) forgetUnsent();
    if ((granted ^ before) & Purpose.Measure) tellEngagement();
  }
  if (isResolved && sentUnder & ~granted) withdraw();
  if (HAS_SLOTS && granted & ~before) noteAct();
  keepState();
  viewPage();
  if (HAS_SLOTS) {
    scanSlots();
    watchViews();
  }
  if (HAS_SLOTS && granted !== before) tell("consent", granted);
  WHY: tellWhyNotAsked();
};

const onNavigated = () => {
  noteAct();
  restoreSlots();
  onPage();
};

const onPage = () => {
  FULL: tellEngagement();
  turnPage();
  // The page's scripts have yet to make the new page.
  if (HAS_SLOTS) setTimeout(scanSlots);
  update();
};

const onParsed = !HAS_SLOTS
  ? endHold
  : () => {
      endHold();
      open();
      WHY: if (!slots.size) tellWhy("there is no slot on this page yet: <near-slot name=hero> or data-slot=hero makes one");
    };

const open = () => {
  scanSlots();
  startSending();
};

const start = () => {
  // A second copy of the tag fails here, before it has done anything;
  if (HAS_SLOTS) watchSlots();
  FULL: {
    commands.answer = tellAnswer;
    watchErrors();
    watchMarkup();
    watchVitals();
  }
  DEBUG: openDebug();
  // one without slots here, for the queue that it finds is a number.
  const q = window.near?.q as [string, ...any[]][] | undefined;
  const queued = HAS_SLOTS ? q || [] : [...(q ?? [])];
  const near: Window["near"] = (window.near = (command, ...args) => {
    try {
      WHY: if (!commands[command])
        tellWhy(`near("${command}") is no command: there are ${Object.keys(commands).join(", ")}`);
      commands[command]!(...args);
    } catch (error) {
      console.error(error); // a page never breaks on us
    }
  });
  if (!HAS_SLOTS) near.q = 0;
  queued.forEach((call) => near(...call));
  watchConsent(onVerdict);
  if (HAS_SLOTS) watchClicks();
  if (HAS_SLOTS) setTimeout(open, Max.GatherMillis);
  else setTimeout(send);
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", onParsed);
  else onParsed();
  whenNavigated(HAS_SLOTS ? onNavigated : onPage);
  addEventListener("visibilitychange", send);
  addEventListener("pagehide", send);
  addEventListener("pageshow", (event) => {
    if (event.persisted) {
      flights.clear();
      onPage();
    }
  });
};

if (document.prerendering) document.addEventListener("prerenderingchange", start);
else start();

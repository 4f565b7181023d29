// SPDX-License-Identifier: Apache-2.0

import { whenNavigated } from "./spa";
import { watchClicks, watchViews } from "./impression";
import { watchErrors } from "./errors";
import { keepState } from "./state";
import { tellWhy, tellWhyNotAsked } from "./why";
import { noteAct, restoreSlots, scanSlots, slots, watchSlots } from "./slot";
import { tell } from "./tell";
import { Purpose } from "./wire";
import { tellVitals, watchVitals } from "./vitals";
import { page, turnPage } from "./page";
import { openDebug } from "./open-debug";
import { dropEvents, forgetFlights, forgetUnsent, send, sentUnder, startSending, withdraw } from "./send";
import { watchMarkup } from "./markup";
import { authority, endHold, getSignals, granted, isHeld, isResolved, tellConsent, watchConsent } from "./consent";
import { tellAnswer, tellEngagement, tellEvent, viewPage } from "./events";

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
    on: (what: string, callback: (value: unknown) => void) =>
      addEventListener("near:" + what, (event) => callback((event as CustomEvent).detail)),
  }),
};

const onVerdict = (before: number) => {
  if (!(isHeld || granted & Purpose.Measure)) dropEvents();
  FULL: if (~granted & (Purpose.Storage | Purpose.Measure)) forgetUnsent();
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

const onPage = () => {
  FULL: tellEngagement();
  turnPage();
  // The page's scripts have yet to make the new page.
  if (HAS_SLOTS) setTimeout(scanSlots);
  viewPage();
};

const onVisibility = () => {
  FULL: {
    tellEngagement();
    if (document.hidden) tellVitals();
  }
  if (document.hidden) send(true);
  if (HAS_SLOTS) watchViews();
};

const onParsed = () => {
  endHold();
  if (HAS_SLOTS) open();
  WHY: if (!slots.size) tellWhy("there is no slot on this page yet: <near-slot name=hero> or data-slot=hero makes one");
};

const open = () => {
  scanSlots();
  startSending();
};

const start = () => {
  // A second copy of the tag fails here, before it has done anything.
  if (HAS_SLOTS) watchSlots();
  FULL: {
    commands.answer = tellAnswer;
    watchErrors();
    watchMarkup();
    watchVitals();
  }
  DEBUG: openDebug();
  const queued = window.near?.q || [];
  const near = (window.near = (command, ...args) => {
    try {
      WHY: if (!commands[command])
        tellWhy(`near("${command}") is no command: there are ${Object.keys(commands).join(", ")}`);
      commands[command]!(...args);
    } catch (error) {
      console.error(error); // a page never breaks on us
    }
  });
  queued.forEach((call) => near(...call));
  watchConsent(onVerdict);
  if (HAS_SLOTS) watchClicks();
  if (HAS_SLOTS) setTimeout(open, Max.GatherMillis);
  else setTimeout(send);
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", onParsed);
  else onParsed();
  whenNavigated(() => {
    if (HAS_SLOTS) {
      noteAct();
      restoreSlots();
    }
    onPage();
  });
  addEventListener("visibilitychange", onVisibility);
  addEventListener("pagehide", () => {
    FULL: {
      tellEngagement();
      tellVitals();
    }
    send(true);
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) {
      forgetFlights();
      onPage();
    }
  });
};

if (document.prerendering) document.addEventListener("prerenderingchange", start);
else start();

// SPDX-License-Identifier: Apache-2.0

import { authority, getSignals, granted, isHeld, isResolved, endHold, tellConsent, watchConsent } from "./consent";
import { tellEngagement, tellEvent, viewPage } from "./events";
import { watchClicks, watchViews } from "./impression";
import { tellPage, turnPage } from "./page";
import { dropEvents, hasSent, mayAsk, recallFlights, send, startSending, withdraw } from "./send";
import { noteAct, restoreSlots, scanSlots, slots, watchSlots } from "./slot";
import { whenNavigated } from "./spa";
import { keepState } from "./state";
import { tell } from "./tell";
import { tellWhy } from "./why";
import { Purpose } from "./wire";

const enum Max {
  /** How long the first request waits for the rest of the page's slots. */
  GatherMillis = 100,
}

const commands: Record<string, (...args: any[]) => void> = {
  consent(said: "withdraw" | Record<string, boolean>) {
    tellConsent(said);
    // State may be left from another page, out of this script's sight.
    if (said === "withdraw") withdraw();
  },
  event: tellEvent,
  page: tellPage,
  get: (callback: (now: unknown) => void) =>
    callback({
      granted,
      authority,
      resolved: isResolved,
      signals: getSignals(),
      decisions: [...slots.values()].flatMap((slot) => slot._decision || []),
    }),
  on: (what: string, callback: (value: unknown) => void) =>
    addEventListener("near:" + what, (event) => callback((event as CustomEvent).detail)),
};

const onVerdict = (before: number) => {
  if (isResolved && !(granted & Purpose.Measure)) dropEvents();
  if (before & ~granted && hasSent) withdraw();
  if (granted & ~before) noteAct();
  keepState();
  viewPage();
  scanSlots();
  watchViews();
  if (granted !== before) tell("consent", granted);
  WHY: if (!isHeld && !mayAsk()) tellWhy(`no slot is asked for: ${authority} does not grant context`);
};

const onPage = () => {
  tellEngagement();
  turnPage();
  viewPage();
  scanSlots();
};

const onLeave = () => {
  watchViews();
  tellEngagement();
  send(true);
};

const onParsed = () => {
  endHold();
  open();
  WHY: if (!slots.size) tellWhy("there is no slot on this page");
};

const open = () => {
  scanSlots();
  startSending();
};

const start = () => {
  // A second copy of the tag fails here, before it has done anything.
  watchSlots();
  const queued = window.near?.q || [];
  const near = (window.near = (command, ...args) => {
    try {
      commands[command]!(...args);
    } catch (error) {
      console.error(error); // a page never breaks on us
    }
  });
  queued.forEach((call) => near(...call));
  watchConsent(onVerdict);
  tellEngagement();
  watchClicks();
  setTimeout(open, Max.GatherMillis);
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", onParsed);
  else onParsed();
  whenNavigated(() => {
    noteAct();
    restoreSlots();
    onPage();
  });
  addEventListener("visibilitychange", onLeave);
  addEventListener("pagehide", onLeave);
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    recallFlights();
    onPage();
  });
};

if (document.prerendering) document.addEventListener("prerenderingchange", start);
else start();

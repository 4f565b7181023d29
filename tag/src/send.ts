// SPDX-License-Identifier: Apache-2.0

import { tell } from "./tell";
import { type Answer, type Beacon, type WireEvent, Purpose, Wire } from "./wire";
import { keepUnsent, takeUnsent } from "./unsent";
import { keepState } from "./state";
import { getSignals, granted, isHeld, isResolved, narrow } from "./consent";
import { type Slot, fillSlots, getUnasked } from "./slot";
import { data, isCrossOrigin, script } from "./script";
import { type Page, describe, encoder, page } from "./page";
import { tellWhy } from "./why";

const enum Max {
  /** Under a half of the 64 KiB that a browser allows in flight when a page is left. */
  BatchBytes = 3e4,
  Events = 64,
  Queue = 512,
  BatchMillis = 1000,
  PauseSeconds = 300,
}

const pages = new WeakMap<WireEvent, Page>();
let flights = 0;
let queue: WireEvent[] = [];
let next = "beacon";
let tries = 0;
let retryAfter = 0;
/** What a schedule must be below to have an effect: nothing is, before the start. */
let armed = -1;
let timer = 0;

/** The purposes that this page has sent something under, which a withdrawal must undo. */
export let sentUnder = 0;

/** Whether slots may be asked for and filled now. */
export const mayAsk = () => granted & Purpose.Context || (data.ask != null && !isResolved && !isHeld);

/** Puts an event of the page of now at the end of the queue. */
export const enqueue = (event: WireEvent) => {
  pages.set(event, page);
  if (queue.length < Max.Queue) queue.push(event);
  schedule(Max.BatchMillis);
};

/** Forgets every event that has not been sent. */
export const dropEvents = () => {
  queue = [];
};

/** Takes up what an earlier page could not send. */
export const resumeUnsent = () =>
  takeUnsent((event, of) => {
    enqueue(event);
    pages.set(event, of);
  });

/** Forgets what outlives the page. */
export const forgetUnsent = () => keepUnsent([], pages);

const arm = (millis: number, priority: number) => {
  armed = priority;
  clearTimeout(timer);
  timer = setTimeout(send, millis);
};

/** Sends in at most `millis` milliseconds, or when the server lets us again. */
export const schedule = (millis: number) => {
  if (millis < armed) arm(millis, millis);
};

const build = (from: Page, events: WireEvent[], slots: Slot[]) =>
  JSON.stringify({
    v: Wire.Version,
    site: data.site!,
    ...describe(from),
    // Asking before the answer leaves it to the server whether silence grants
    // context here; the claim is only the most that it may grant.
    consent: { purposes: HAS_SLOTS ? granted || Purpose.Context : granted, ...getSignals() },
    ...(granted & Purpose.Storage && { state: keepState() }),
    ...(HAS_SLOTS && { why: data.why != null }),
    sent: events[0] && Date.now(),
    events: events[0] && events,
    ...(HAS_SLOTS && { slots: slots[0] && [...new Map(slots.map(({ _ask }) => [_ask.name, _ask])).values()] }),
  } satisfies Beacon);

/** Posts; settles with the answer, or with undefined if it should be tried again. */
const post = async (path: string, body: string): Promise<Answer | undefined> => {
  const url = new URL("v1/" + path, script.src);
  const carriesCookie = !isCrossOrigin && (path === "withdraw" || granted & Purpose.Storage);
  try {
    const response = await fetch(url, {
      method: "POST",
      body,
      credentials: carriesCookie ? "include" : "omit",
      keepalive: true,
      referrerPolicy: "origin",
    });
    retryAfter = +response.headers.get("Retry-After")! || 0;
    if (response.ok) return JSON.parse((await response.text()) || "{}");
    WHY: tellWhy("the server refused a beacon: " + (await response.text()));
    // Below that, the fault is in what was sent.
    if (response.status < 429) return {};
  } catch {
    WHY: tellWhy(
      `no answer from ${url}: the node is down, or it does not know ${location.origin} ` +
        "(a site's settings.origins lists the origins that may ask)",
    );
    // No answer, or not one of ours. A page that is being left fails its own
    // requests although they arrive: later is too late for it to repeat them.
    await new Promise((later) => setTimeout(later));
  }
};

/**
 * Sends what is next: one request at a time, but all there is when the page is
 * being left, because it may not come back.
 */
export const send = async (isLeaving?: boolean) => {
  clearTimeout(timer);
  armed = Infinity;
  if (!isLeaving && flights > 0) return;
  const path = next;
  const purposes = granted;
  const asking = page;
  let events: WireEvent[] = [];
  let slots: Slot[] = [];
  let body = JSON.stringify({ v: Wire.Version, site: data.site, purposes });
  if (path === "beacon") {
    if (HAS_SLOTS && !isLeaving && mayAsk()) slots = getUnasked();
    // Slots wait for an answer, so what an earlier page left over comes later.
    const from = ((!HAS_SLOTS || !slots[0]) && pages.get(queue[0]!)) || asking;
    if (purposes & Purpose.Measure) events = queue.filter((event) => pages.get(event) === from).slice(0, Max.Events);
    while (encoder.encode((body = build(from, events, slots))).length > Max.BatchBytes && events[1]) {
      events.length >>= 1;
    }
    if (!events[0] && (!HAS_SLOTS || !slots[0])) return;
    queue = queue.filter((event) => !events.includes(event));
    sentUnder |= purposes;
  }
  next = "beacon";
  flights++;
  const answering = post(path, body);
  if (isLeaving) send(true);
  const answer = await answering;
  flights--;
  if (answer) {
    if (HAS_SLOTS && asking === page && mayAsk()) fillSlots(slots, answer.decisions);
    const refused = purposes & ~(answer.granted ?? purposes);
    sentUnder &= ~refused;
    narrow(refused);
    keepState(answer);
    WHY: answer.rejected?.forEach(({ id, code, field }) =>
      tellWhy(`the server refused event ${id}: ${code} ${field || ""}`),
    );
    events = events.filter((event) =>
      answer.rejected?.some((one) => one.id === event.id && one.code === "unavailable"),
    );
    if (HAS_SLOTS) tell("answer", answer);
  }
  if (!answer || events[0]) {
    if (granted & Purpose.Measure) queue = events.concat(queue);
    if (path === "withdraw") next = path;
    FULL: keepUnsent(queue, pages);
    armed = 0;
    arm(1e3 * Math.min(Math.max(2 ** ++tries * Math.random(), retryAfter), Max.PauseSeconds), 0);
  } else {
    FULL: keepUnsent([], pages);
    tries = 0;
    schedule(0);
  }
};

/** Waits no longer for what was under way when the page was frozen: its answer may never come. */
export const forgetFlights = () => {
  flights = 0;
};

/**
 * Tells the server what is still granted, before anything else is sent but not
 * beside what is under way: a later answer could set the cookie again that this
 * is to expire.
 */
export const withdraw = () => {
  sentUnder &= granted;
  next = "withdraw";
  schedule(0);
};

/** Lets requests start; the first is a task of its own. */
export const startSending = () => {
  if (armed < 0) arm(0, 0);
};

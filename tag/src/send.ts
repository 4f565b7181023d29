// SPDX-License-Identifier: Apache-2.0

import { getSignals, granted, isHeld, isResolved, narrow } from "./consent";
import { type Page, describe, encoder, page } from "./page";
import { ask, getEndpoint, isCrossOrigin, site, why } from "./script";
import { type Slot, fillSlots, getUnasked } from "./slot";
import { keepState } from "./state";
import { tell } from "./tell";
import { tellWhy } from "./why";
import { type Answer, type Beacon, type WireEvent, Purpose, Wire } from "./wire";

const enum Max {
  /** Under a half of the 64 KiB that a browser allows in flight when a page is left. */
  BatchBytes = 3e4,
  Events = 64,
  Queue = 512,
  GatherMillis = 1000,
  Tries = 8,
  BackOffSeconds = 60,
  RetryAfterSeconds = 300,
}

const pages = new WeakMap<WireEvent, Page>();
let controller = new AbortController();
let flights = 0;
let queue: WireEvent[] = [];
let next = "beacon";
let tries = 0;
let retryAfter = 0;
/** The priority that a timer is set with; a schedule that is no lower does nothing. */
let armed = 0;
let timer = 0;

/** Whether this page has sent anything that a withdrawal must undo. */
export let hasSent = false;

/** Whether slots may be asked for and filled now. */
export const mayAsk = () => granted & Purpose.Context || (ask != null && !isResolved && !isHeld);

/** Puts an event of the page of now at the end of the queue. */
export const enqueue = (event: WireEvent) => {
  pages.set(event, page);
  if (queue.length < Max.Queue) queue.push(event);
  schedule(Max.GatherMillis);
};

/** Forgets every event that has not been sent. */
export const dropEvents = () => {
  queue = [];
};

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
    site: site!,
    ...describe(from),
    consent: { purposes: granted, ...getSignals() },
    state: keepState(),
    why: why != null,
    ...(events[0] && { sent: Date.now(), events }),
    ...(slots[0] && { slots: [...new Map(slots.map(({ _ask }) => [_ask.name, _ask])).values()] }),
  } satisfies Beacon);

/** Posts; settles with the answer, or with undefined if it should be tried again. */
const post = async (path: string, body: string, isLeaving?: boolean): Promise<Answer | undefined> => {
  const url = getEndpoint(path);
  const carriesCookie = !isCrossOrigin && (path === "withdraw" || granted & Purpose.Storage);
  // sendBeacon cannot leave cookies out and hides the answer: it only stands in
  // where a fetch would die with the page.
  if (isLeaving && carriesCookie && !("keepalive" in Request.prototype) && navigator.sendBeacon(url, body)) return {};
  try {
    const response = await fetch(url, {
      method: "POST",
      body,
      keepalive: true,
      signal: controller.signal,
      credentials: carriesCookie ? "same-origin" : "omit",
      referrerPolicy: "origin",
    });
    retryAfter = +response.headers.get("Retry-After")! || 0;
    if (response.status < 500 && response.status !== 429) return JSON.parse((await response.text()) || "{}");
  } catch {
    // No answer, or not one of ours.
  }
};

/**
 * Sends what is next: one request at a time, but all there is when the page is
 * being left, because it may not come back.
 */
export const send = async (isLeaving?: boolean) => {
  clearTimeout(timer);
  armed = Infinity;
  if (!isLeaving && flights) return;
  const path = next;
  const purposes = granted;
  const sendable = purposes & Purpose.Measure ? queue : [];
  const from = pages.get(sendable[0]!) || page;
  let events: WireEvent[] = [];
  let slots: Slot[] = [];
  let body = JSON.stringify({ v: Wire.Version, site, purposes });
  if (path === "beacon") {
    if (from === page && !isLeaving && mayAsk()) slots = getUnasked();
    events = sendable.filter((event) => pages.get(event) === from).slice(0, Max.Events);
    while (encoder.encode((body = build(from, events, slots))).length > Max.BatchBytes && events[1]) events.length >>= 1;
    if (!events[0] && !slots[0]) return;
    queue = queue.filter((event) => !events.includes(event));
    hasSent = true;
  }
  next = "beacon";
  flights++;
  const { signal } = controller;
  const answering = post(path, body, isLeaving);
  if (isLeaving) send(true);
  const answer = await answering;
  if (!signal.aborted) flights--;
  if (answer) {
    if (mayAsk()) fillSlots(slots, answer.decisions);
    narrow(purposes & ~(answer.granted ?? purposes));
    keepState(answer.state);
    WHY: if (answer.error) tellWhy("refused: " + answer.error.message);
    WHY: answer.rejected?.forEach(({ id, code }) => tellWhy(`event ${id} is refused: ${code}`));
    events = events.filter((event) => answer.rejected?.some((one) => one.id === event.id && one.code === "unavailable"));
    tell("answer", answer);
  }
  if (!answer || events[0]) {
    if (granted & Purpose.Measure) queue = events.concat(queue);
    if (path === "withdraw") next = path;
    if (signal.aborted) return;
    armed = 0;
    const backOff = (Math.min(2 ** tries, Max.BackOffSeconds) * (1 + Math.random())) / 2;
    // After the last try, what is left goes when the page does.
    if (tries++ < Max.Tries) arm(1e3 * Math.max(backOff, Math.min(retryAfter, Max.RetryAfterSeconds)), 0);
  } else {
    tries = 0;
    schedule(0);
  }
};

/** Takes back what was under way when the page was frozen: its answer may never come. */
export const recallFlights = () => {
  controller.abort();
  controller = new AbortController();
  flights = 0;
};

/**
 * Tells the server what is still granted, before anything else is sent but not
 * beside what is under way: a later answer could set the cookie again that this
 * is to expire.
 */
export const withdraw = () => {
  next = "withdraw";
  schedule(0);
};

/** Lets requests start. */
export const startSending = () => arm(0, 0);

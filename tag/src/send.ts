// SPDX-License-Identifier: Apache-2.0

import { tellEngagement } from "./events";
import { tellVitals } from "./vitals";
import { type Answer, type Beacon, type WireEvent, Purpose, Wire } from "./wire";
import { getSignals, granted, heard, isHeld, isResolved, narrow, update } from "./consent";
import { keepState } from "./state";
import { tell } from "./tell";
import { type Waiting, keepUnsent, takeUnsent } from "./unsent";
import { tellWhy } from "./why";
import { type Slot, fillSlots, getUnasked } from "./slot";
import { data, script } from "./script";
import { type Page, describe, page } from "./page";
import { viewed } from "./impression";

const enum Max {
  /** In characters of up to three bytes: under a half of the 64 KiB that a browser allows in flight when a page is left. */
  Batch = 1e4,
  Events = 64,
  Queue = 512,
  Shown = 16,
  BatchMillis = 1000,
  PauseSeconds = 300,
}

/** What is under way. */
export const flights = new Set<Promise<unknown>>();
let queue: Waiting[] = [];
let next = "beacon";
let tries = 0;
let retryAfter = 0;
/** What a schedule must be below to have an effect: nothing is, before the start. */
let armed = -1;
let timer = 0;

/** Who has signed in, by a token that is still to be told; null that nobody is any more. */
let identity: Pick<Beacon, "identify"> | undefined;

/** The purposes that this page has sent something under, which a withdrawal must undo. */
export let sentUnder = 0;

/** Whether slots may be asked for and filled now. */
export const mayAsk = () => granted & Purpose.Context || (data.ask != null && !isResolved && !isHeld);

/** Puts an event at the end of the queue. */
export const enqueue = (_event: WireEvent, _page = page) => {
  queue[Max.Queue - 1] || queue.push({ _event, _page });
  schedule(Max.BatchMillis);
};

/** Takes who has signed in, by the site's token, or null for nobody any more: the next beacon tells it. */
export const identify = (token: string | null) => {
  identity = { identify: token };
};

/** Forgets every event that has not been sent. */
export const dropEvents = () => {
  queue = [];
};

/** Takes up what an earlier page could not send. */
export const resumeUnsent = () => takeUnsent(enqueue);

/** Forgets what outlives the page. */
export const forgetUnsent = () => keepUnsent([]);

const arm = (millis: number, priority: number) => {
  armed = priority;
  clearTimeout(timer);
  timer = setTimeout(send, millis);
};

/** Sends in at most `millis` milliseconds, or when the server lets us again. */
export const schedule = (millis: number) => {
  if (millis < armed) arm(millis, millis);
};

/** Lets requests start; the first is a task of its own. */
export const startSending = () => {
  if (armed < 0) arm(0, 0);
};

const build = (from: Page, events: Waiting[], slots: Slot[]) =>
  JSON.stringify({
    v: Wire.Version,
    site: data.site!,
    ...describe(from),
    // Asking before the answer leaves it to the server whether silence grants
    // context here; the claim is only the most that it may grant.
    consent: { purposes: HAS_SLOTS ? granted || Purpose.Context : granted, ...getSignals() },
    ...(granted & Purpose.Storage && { state: keepState("beacon") }),
    ...(HAS_SLOTS && { why: data.why != null, ...(granted & Purpose.Profile && identity) }),
    sent: HAS_SLOTS ? events[0] && Date.now() : Date.now(),
    events: HAS_SLOTS && !events[0] ? undefined : events.map(({ _event }) => _event),
    ...(HAS_SLOTS &&
      slots[0] && {
        slots: slots.map(({ _ask }) => _ask),
        shown: ~granted & Purpose.OfCaps && viewed.size ? [...viewed].slice(-Max.Shown) : undefined,
      }),
  } satisfies Beacon);

/** Posts; settles with the answer, or with undefined if it should be tried again. */
const post = async (path: string, body: string): Promise<Answer | undefined> => {
  const url = new URL("v1/" + path, script.src);
  // A collector on another origin gets no cookie, ever.
  const carriesCookie = url.origin === location.origin && (path === "withdraw" || granted & Purpose.Storage);
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
export const send = async (isLeaving?: unknown) => {
  FULL: if (isLeaving) {
    tellEngagement();
    if (document.hidden) tellVitals();
  }
  update();
  clearTimeout(timer);
  armed = Infinity;
  if (!isLeaving && flights.size) return;
  const path = next;
  const purposes = granted;
  const under = heard;
  const asking = page;
  let events: Waiting[] = [];
  let slots: Slot[] = [];
  let told: typeof identity;
  let body = JSON.stringify({ v: Wire.Version, site: data.site, purposes });
  if (path === "beacon") {
    if (HAS_SLOTS && !isLeaving && mayAsk()) slots = getUnasked();
    // Slots wait for an answer, so what an earlier page left over comes later.
    const from = HAS_SLOTS ? (!slots[0] && queue[0]?._page) || asking : queue[0]?._page!;
    if (purposes & Purpose.Measure) events = queue.filter(({ _page }) => _page === from).slice(0, Max.Events);
    if (!events[0] && (!HAS_SLOTS || !slots[0])) return;
    while ((body = build(from, events, slots)).length > Max.Batch && events[1]) {
      events.length >>= 1;
    }
    queue = queue.filter((event) => !events.includes(event));
    sentUnder |= purposes;
    if (HAS_SLOTS) told = identity;
  }
  next = "beacon";
  const answering = post(path, body);
  flights.add(answering);
  if (isLeaving) send(true);
  const answer = await answering;
  flights.delete(answering);
  if (answer) {
    if (HAS_SLOTS && asking === page && mayAsk()) fillSlots(slots, answer.decisions);
    const left = answer.granted ?? -1;
    sentUnder &= left;
    if (under === heard) narrow(left);
    if (HAS_SLOTS && purposes & left & Purpose.Profile && told === identity) identity = undefined;
    keepState(path, answer);
    WHY: answer.rejected?.forEach(({ id, code, field }) =>
      tellWhy(`the server refused event ${id}: ${code} ${field || ""}`),
    );
    WHY: answer.refused?.forEach(({ code, field }) => tellWhy(`the server passed over ${field}: ${code}`));
    // What was refused for good then is refused again.
    if (!HAS_SLOTS || !answer.resend) events = [];
    if (HAS_SLOTS) tell("answer", answer);
  }
  if (!answer || events[0]) {
    if (granted & Purpose.Measure) queue.unshift(...events);
    if (path === "withdraw") next = path;
    FULL: keepUnsent(queue);
    arm(1e3 * Math.min(Math.max(2 ** ++tries * Math.random(), retryAfter), Max.PauseSeconds), 0);
  } else {
    FULL: forgetUnsent();
    tries = 0;
    schedule(0);
  }
};

/**
 * Tells the server what is still granted, before anything else is sent but not
 * beside what is under way: a later answer could set the cookie again that this
 * is to expire. On a page that is being left it goes beside it all the same, and
 * the next page tells it again (state.ts).
 */
export const withdraw = () => {
  sentUnder &= granted;
  next = "withdraw";
  schedule(0);
};

// SPDX-License-Identifier: Apache-2.0

/** What data may be used for. What nobody has granted is refused. */
export type Purpose = "storage" | "measure" | "context" | "profile" | "personalise" | "share" | "geo" | "device";

/** A product, by the names of GA4's ecommerce events. */
export interface Item {
  item_id?: string;
  item_name?: string;
  item_brand?: string;
  item_category?: string;
  item_variant?: string;
  price?: number;
  quantity?: number;
  [name: string]: unknown;
}

/** Properties of an event: at most 8 KiB as JSON. */
export interface Props {
  value?: number;
  currency?: string;
  transaction_id?: string;
  items?: Item[];
  [name: string]: unknown;
}

/** What the site says of the page, for rules. */
export interface Facts {
  type?: string;
  category?: string;
  /** Separated by commas, at most 16. */
  tags?: string;
  item?: string;
}

/** What was decided for a slot. */
export interface Decision {
  id: string;
  slot: string;
  kind: string;
  reason: string;
  because?: string;
  variant?: string;
  rule?: string;
  lang?: string;
  dir?: string;
  content?: unknown;
  why?: unknown;
}

/** What the tag knows now. The measure build knows the first three. */
export interface Now {
  /** The purposes granted, a bit each in the order of Purpose. */
  granted: number;
  /** Which signal could grant them: "tcf", "gpp", "gcm", "owner", or "region" for nobody. */
  authority: string;
  /** Whether somebody entitled to answer has answered. */
  resolved: boolean;
  signals?: unknown;
  decisions?: Decision[];
}

/** An answer of the server. */
export interface Answer {
  granted?: number;
  decisions?: Decision[];
  accepted?: number;
  rejected?: { id: string; code: string; field?: string }[];
  /** Why the token of who has signed in was refused. It is not told again. */
  identify?: { code: string };
  /** Whether the tag sends the events again. */
  resend?: boolean;
  /** Slots and facts of the page that were passed over. */
  refused?: { code: string; field: string }[];
}

/** Says what the visitor granted or refused. What was said before and is not named stays. */
export function consent(answers: Partial<Record<Purpose, boolean>>): void;

/** Refuses everything: queued events go, the cookie expires. */
export function withdraw(): void;

/** Tells an event, by GA4's names where there is one. */
export function event(name: string, props?: Props): void;

/** Tells what the visitor says of himself or herself, as an event "answer". Only the everything build knows it. */
export function answer(name: string, value: unknown): void;

/** Adds to what the site says of the page. */
export function page(facts: Facts): void;

/**
 * Tells who has signed in, by a token that the site's own server made, or null for
 * nobody any more. The next request carries it. The measure build does not know it.
 */
export function identify(token: string | null): void;

/** Settles once the tag has come, with what it knows then. */
export function get(): Promise<Now>;

/** Calls back at each answer of the server, or change of what is granted. */
export function on(what: "answer", listener: (answer: Answer) => void): void;
export function on(what: "consent", listener: (granted: number) => void): void;

/** What the script element of the tag says. */
export interface Options {
  /** The address of a build, for example "/_near/tag.js". The collector is looked for beside it. */
  src: string;
  integrity?: string;
  nonce?: string;
  site: string;
  policy?: "strict" | "uk" | "us-optout";
  /** Asks for slots, without identifiers, before the visitor has answered. */
  ask?: boolean;
  /** Asks for explanations; words are those of a control beside each slot's content. */
  why?: boolean | string;
  /** Milliseconds that a consent platform has to answer, 500 if not given. */
  wait?: number;
  ecommerce?: boolean;
  debug?: string;
}

/**
 * Puts the tag on the page. Pages under a Trusted Types policy have the snippet in
 * their markup in its place: no script may name a script's address there.
 */
export function load(options: Options): void;

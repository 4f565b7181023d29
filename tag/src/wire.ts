// SPDX-License-Identifier: Apache-2.0

// The wire, as the collector reads and writes it. Limits are in bytes of UTF-8;
// testdata/wire holds beacons this tag really sent, which the collector's tests
// read too.

/** The wire's version. */
export const enum Wire {
  Version = 1,
}

/** Purposes, one bit each. The order is wire format: append, never reuse. */
export const enum Purpose {
  Storage = 1,
  Measure = 2,
  Context = 4,
  Profile = 8,
  Personalise = 16,
  Share = 32,
  Geo = 64,
  Device = 128,
  /** What needs storage: a profile's writing and its use. */
  OfProfile = 24,
  /** What a state needs to count what is shown: storage, measure and profile. */
  OfCaps = 11,
  /** What a page under an opt-out law allows until it is refused: all but geo and device. */
  OptOut = 63,
}

/** The purposes by name, in the order of their bits. */
export const names = "storage measure context profile personalise share geo device".split(" ");

/** Makes a set of purposes of an answer for each, in the order of their bits. */
export const pack = (answers: unknown[]) => answers.reduce<number>((set, yes, i) => (yes ? set | (1 << i) : set), 0);

/** Consent signals, raw. The server evaluates them again and may only narrow. */
export interface Signals {
  policy?: string;
  owner: { granted: number; refused: number };
  gdpr?: boolean;
  tcf?: string;
  gpp?: string;
  gppSid?: number[];
  gpc?: boolean;
  gcm?: Record<string, string>;
}

export interface WirePage {
  id?: string;
  url: string;
  ref?: string;
  title?: string;
  type?: string;
  category?: string;
  tags?: string[];
  item?: string;
  lang?: string;
}

export interface WireClient {
  langs?: string[];
  viewport?: number[];
  screen?: number[];
  tz?: string;
}

export type Props = Record<string, unknown>;

export interface WireEvent {
  id: string;
  name: string;
  /** The browser's clock, milliseconds since 1970; only `sent - at` is used. */
  at: number;
  props: Props;
}

export interface WireSlot {
  name: string;
  limit?: number;
  item?: string;
}

export interface Beacon {
  v: number;
  site: string;
  page: WirePage;
  sent?: number;
  consent: Signals & { purposes: number };
  client?: WireClient;
  state?: string;
  identify?: string | null;
  why?: boolean;
  events?: WireEvent[];
  slots?: WireSlot[];
  shown?: string[];
}

/** A piece of compiled markup: text, or [tag, attributes, ...children]. */
export type Markup = string | [string, Record<string, string | number>, ...Markup[]];

export interface Content {
  nodes?: Markup[];
  text?: string;
  json?: any;
  src?: string;
  alt?: string;
  width?: number;
  height?: number;
  href?: string;
  items?: unknown[];
}

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
  content?: Content;
  why?: unknown;
  /** The tag's own note: two elements may show one decision, which is one impression. */
  _isViewed?: boolean;
}

export interface Answer {
  v?: number;
  granted?: number;
  decisions?: Decision[];
  state?: string;
  accepted?: number;
  rejected?: { id: string; code: string; field?: string }[];
  /** Whether the events that were good are to be sent again. */
  resend?: boolean;
  /** Slots and facts of the page that were passed over. */
  refused?: { code: string; field: string }[];
}

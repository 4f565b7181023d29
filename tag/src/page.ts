// SPDX-License-Identifier: Apache-2.0

import { type WireClient, type WirePage, Purpose } from "./wire";
import { granted } from "./consent";

type Facts = Pick<WirePage, "type" | "category" | "tags" | "item">;

/** A page view. It lives in memory; what leaves of it is up to the purposes. */
export interface Page {
  _id: string;
  _url: string;
  _ref: string;
  _facts: Facts;
  /** How many events it has had: their ids count on. */
  _events: number;
  /** Whether its view has been counted. */
  _isViewed?: boolean;
}

/** Counts the bytes of UTF-8, which is what limits are in. */
export const encoder = new TextEncoder();

/** At most `bytes` bytes of UTF-8 of a text, never a part of a character. */
const cut = (text: string, bytes: number) =>
  text.slice(0, encoder.encodeInto(text, new Uint8Array(bytes)).read) || undefined;

/** The page view of now. */
export let page: Page;

/** Begins the next page view of this document. */
export const turnPage = (ref = page._url) => {
  page = {
    _id: Date.now() + "" + Math.random(),
    _url: location.href,
    _ref: ref,
    _facts: {},
    _events: 0,
  };
};
turnPage(document.referrer);

const getFact = (of: Page, name: keyof Facts, bytes = 256) => {
  const meta = of === page && document.querySelector<HTMLMetaElement>(`[name="near:${name}"]`);
  return cut("" + (of._facts[name] || (meta && meta.content) || ""), bytes);
};

/**
 * What may be said now of a page view and of the browser. A page view that is
 * over is described without the document, which shows another one. A build without
 * slots sends nothing but what is measured.
 */
export const describe = (of: Page): { page: WirePage; client: WireClient } => {
  const url = new URL(of._url);
  // Campaign parameters measure, click ids share, and a preview's link is the
  // site's own; no other parameter leaves.
  const query = [...url.searchParams].filter(([name]) =>
    /^utm_/.test(name)
      ? !HAS_SLOTS || granted & Purpose.Measure
      : HAS_SLOTS &&
        (name === "near_preview" ||
          (/^(([gw]bra|[a-z]+clk?|li_fat_|scc|rdt_c)id|epik)$/.test(name) && granted & Purpose.Share)),
  );
  const client: WireClient = {
    ...((!HAS_SLOTS || granted & Purpose.Measure) && {
      viewport: [innerWidth, innerHeight].map((px) => px - (px % 100)),
    }),
    ...(HAS_SLOTS && granted & Purpose.Context && { langs: navigator.languages.slice(0, 16) }),
  };
  FULL: if (granted & Purpose.Device) {
    client.screen = [screen.width, screen.height];
    client.tz = Intl.DateTimeFormat().resolvedOptions().timeZone;
  }
  return {
    page: {
      url: cut(url.origin + url.pathname + (query[0] ? "?" : "") + new URLSearchParams(query), 2048)!,
      ...((!HAS_SLOTS || granted & Purpose.Measure) && {
        id: of._id,
        ...(of === page && { title: cut(document.title, 512) }),
      }),
      ...(HAS_SLOTS &&
        granted & Purpose.Context && {
          lang: cut(document.documentElement.lang, 35),
          type: getFact(of, "type"),
          item: getFact(of, "item"),
          category: getFact(of, "category"),
          tags: getFact(of, "tags", 1024)
            ?.split(",", 16)
            .map((tag) => cut(tag.trim(), 64)!),
        }),
      ...((!HAS_SLOTS || granted & (Purpose.Measure | Purpose.Context)) &&
        of._ref && { ref: new URL(of._ref).origin + "/" }),
    },
    client,
  };
};

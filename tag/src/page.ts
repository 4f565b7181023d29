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

/** A fact of a page view, so far as it has room; the server passes over one that cannot be. */
const getFact = (of: Page, name: keyof Facts, length = 256) => {
  const meta = of === page && document.querySelector<HTMLMetaElement>(`[name="near:${name}"]`);
  return ("" + (of._facts[name] || (meta && meta.content) || "")).slice(0, length) || undefined;
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
      url: (url.origin + url.pathname + (query[0] ? "?" : "") + new URLSearchParams(query)).slice(0, 2048),
      ...((!HAS_SLOTS || granted & Purpose.Measure) && {
        id: of._id,
        ...(of === page && { title: document.title.slice(0, 170) }),
      }),
      ...(HAS_SLOTS &&
        granted & Purpose.Context && {
          lang: document.documentElement.lang.slice(0, 35),
          type: getFact(of, "type"),
          item: getFact(of, "item"),
          category: getFact(of, "category"),
          tags: getFact(of, "tags", 1024)
            ?.split(",", 16)
            .map((tag) => tag.trim().slice(0, 64)),
        }),
      ...((!HAS_SLOTS || granted & (Purpose.Measure | Purpose.Context)) &&
        of._ref && { ref: new URL(of._ref).origin + "/" }),
    },
    client,
  };
};

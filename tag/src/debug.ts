// SPDX-License-Identifier: Apache-2.0

import { gppGrants, isOptedOut, tcf, tcfGrants, watchPlatforms } from "./platform";
import { type Decision, type Signals, Purpose, names } from "./wire";
import { readConsentMode } from "./gcm";

// The debug view: a script of its own that pages load only when it is asked for.
// It asks the tag on the page what it knows, and the consent platforms what they
// say, and sends nothing.

interface Now {
  granted: number;
  authority: string;
  resolved: boolean;
  signals: Signals;
  decisions: Decision[];
}

const style = `
:host{position:fixed;inset-block-end:0;inset-inline-end:0;z-index:2147483647;max-inline-size:min(44rem,100vw);
max-block-size:60vh;overflow:auto;font:13px/1.4 system-ui,sans-serif;color:#111;background:#fff;border:1px solid #767676}
h2{font-size:1em;margin:.6em .8em}table{border-collapse:collapse;margin:.8em}th,td{text-align:start;padding:.1em .5em;border:1px solid #ccc}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.8em}.no{color:#a00}.yes{color:#060}button{margin:.4em .8em}`;

/** Puts the view on the page and keeps it up to date. */
const open = () => {
  const host = document.createElement("near-debug");
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(style);
  root.adoptedStyleSheets = [sheet];
  host.setAttribute("role", "complementary");
  host.setAttribute("aria-label", "Nearside");
  const close = make("button", "Close");
  close.onclick = () => host.remove();
  const show = () =>
    window.near!("get", (now: Now) =>
      root.replaceChildren(
        close,
        make("h2", now.resolved ? `consent: ${now.authority}` : `consent: ${now.authority}, unresolved`),
        ...showPurposes(now),
        make("pre", "signals: " + JSON.stringify(now.signals, null, 1)),
        ...now.decisions.filter((one) => one.slot).map(showSlot),
      ),
    );
  watchPlatforms(show);
  window.near!("on", "consent", show);
  window.near!("on", "answer", () => setTimeout(show));
  show();
  document.body.append(host);
};

/** What a signal says by itself: the purposes it grants, and those it refuses. */
type Reading = [speaker: string, grants: number, refuses: number];

const listNames = (set: number) => names.filter((_, i) => set & (1 << i)).join(", ") || "none";

/** The signals that are there, from the highest authority. */
const getReadings = ({ owner, gcm, gpc }: Signals) => {
  const readings: Reading[] = [];
  if (tcf?.gdpr) readings.push(readWhole("tcf", tcfGrants, tcfGrants != null));
  if (gppGrants || isOptedOut) readings.push(readGpp());
  if (gcm && Object.keys(gcm)[0]) readings.push(readWhole("gcm", readConsentMode(gcm)));
  if (owner.granted | owner.refused) readings.push(["owner", owner.granted & ~owner.refused, owner.refused]);
  if (gpc) readings.push(["gpc", 0, Purpose.Share]);
  return readings;
};

const readGpp = (): Reading => {
  const refuses = isOptedOut ? Purpose.Share : 0;
  return ["gpp", (gppGrants || 0) & ~refuses, refuses];
};

const make = (name: string, ...children: (Node | string)[]) => {
  const el = document.createElement(name);
  el.append(...children);
  return el;
};

/** The purposes that one signal grants and another refuses. */
const getDisagreement = (readings: Reading[]) =>
  readings.reduce((all, one) => all | one[1], 0) & readings.reduce((all, one) => all | one[2], 0);

const showSlot = ({ slot, kind, variant, rule, reason, because, why }: Decision) => {
  const shown = [...document.querySelectorAll<HTMLElement>("near-slot,[data-slot]")]
    .filter((el) => (el.dataset.slot || el.getAttribute("name")) === slot)
    .map((el) => el.dataset.near);
  const says = [kind, variant, reason, rule, because].filter(Boolean).join(" · ");
  return make("pre", `slot ${slot}: ${says}; shown: ${shown.join(", ")}\n` + (why ? JSON.stringify(why, null, 1) : ""));
};

const showPurposes = ({ granted, signals }: Now) => {
  const readings = getReadings(signals);
  const heads = ["", ...names].map((name) => make("th", name));
  return [
    make("table", make("tr", ...heads), ...readings.map(showReading), showReading(readWhole("granted", granted))),
    make("pre", "disagreement: " + listNames(getDisagreement(readings))),
  ];
};

/** A reading of a signal that answers for every purpose, or for none yet. */
const readWhole = (speaker: string, grants = 0, isResolved = true): Reading => [
  speaker,
  grants,
  isResolved ? ~grants : 0,
];

const showReading = ([speaker, grants, refuses]: Reading) => {
  const cells = names.map((_, i) => {
    const word = grants & (1 << i) ? "yes" : refuses & (1 << i) ? "no" : "–";
    const cell = make("td", word);
    cell.className = word;
    return cell;
  });
  return make("tr", make("th", speaker), ...cells);
};

open();

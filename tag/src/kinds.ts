// SPDX-License-Identifier: Apache-2.0

import type { Content, Markup } from "./wire";
import { tell } from "./tell";
import { buildSurvey } from "./survey";

/**
 * Builds compiled markup without a parser, so that it works where a policy
 * forbids every string that could become script. The server has sanitised it;
 * what could run or load code is refused here again.
 */
export const build = (markup: Markup): Node | string => {
  if (typeof markup === "string") return markup;
  const [tag, attributes, ...children] = markup;
  if (/^(script|style|link|meta|base|.*frame.*|object|embed|near-slot)$/i.test(tag)) return "";
  const el = document.createElement(tag);
  for (const name in attributes) {
    const value = attributes[name] as string;
    // A style attribute is blocked by a strict policy, its object is not.
    if (name === "style") el.style.cssText = value;
    else if (
      !/^(on.*|srcdoc|is|autofocus|ping|data-slot)$/i.test(name) &&
      (!/href|src|action/i.test(name) || /^(https?|mailto|tel):/.test(new URL(value, document.baseURI).href))
    ) {
      el.setAttribute(name, value);
    }
  }
  el.append(...children.map(build));
  return el;
};

/**
 * What a slot of each kind shows: nodes that take the place of the page's own,
 * or undefined for a kind whose value goes to the page's scripts. Throws on a
 * kind this tag does not know.
 */
export const render = (kind: string, content: Content, el: Element): (Node | string)[] | undefined => {
  if (kind === "text") return [content.text!];
  if (kind === "image") return [build(["img", content as Record<string, string>])];
  if (kind === "link") return [build(["a", { href: content.href! }, content.text!])];
  FULL: if (content.json?.survey) return [buildSurvey(content.json.survey)];
  if (kind !== "json" && kind !== "items") return content.nodes!.map(build);
  tell(kind, content[kind], el);
};

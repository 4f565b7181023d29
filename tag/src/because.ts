// SPDX-License-Identifier: Apache-2.0

import { build } from "./kinds";
import type { Decision } from "./wire";
import { data } from "./script";

/** What lets a visitor ask why a slot shows what it shows, where data-why has words for it. */
export const buildBecause = ({ because }: Decision) =>
  data.why && because ? [build(["details", { class: "near-why" }, ["summary", {}, data.why], because])] : [];

// SPDX-License-Identifier: Apache-2.0

import { tellEvent } from "./events";

const enum Max {
  /** Errors of one document. */
  Errors = 10,
  /** Characters of an error's message, and of the address of its script. */
  Text = 256,
}

let told = 0;

const clean = (text: unknown) => String(text).replace(/[?#]\S*/g, "").slice(0, Max.Text);

/** Tells an error by its message and where it arose, without the query and fragment of the script's address. */
const tellError = (message: unknown, source = "", line?: number) => {
  if (told++ < Max.Errors) tellEvent("exception", { description: clean(message), source: clean(source), line });
};

/** Tells of the page's uncaught errors, by GA4's name for them. */
export const watchErrors = () => {
  addEventListener("error", ({ message, filename, lineno }) => tellError(message, filename, lineno));
  addEventListener("unhandledrejection", ({ reason }) => tellError(reason?.message || reason));
};

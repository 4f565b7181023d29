// SPDX-License-Identifier: Apache-2.0

import { build } from "./kinds";
import { granted } from "./consent";
import { tellAnswer } from "./events";
import { type Content, type Markup, Purpose } from "./wire";

/** A question, as a slot of the kind json has it under "survey". Every text is in the content's language. */
export interface Survey {
  /** What the answer is called in the event, and the question's text. */
  name: string;
  question: string;
  answers: { value: string; text: string }[];
  /** What the button says, and what stands there once the visitor has answered. */
  submit: string;
  thanks: string;
}

/** Whether content is a question whose answer could not be kept now: nobody is asked in vain. */
export const isAskedInVain = (content?: Content) => content?.json?.survey && !(granted & Purpose.Measure);

/**
 * Builds a question that keyboards and screen readers know: a group of radio
 * buttons with a legend. The answer is told as an event; the thanks take its
 * place and the focus, since the button that had it is gone. Where it cannot be
 * kept any more the question goes, and nobody is thanked.
 */
export const buildSurvey = ({ name, question, answers, submit, thanks }: Survey) => {
  const choices = answers.map(
    ({ value, text }): Markup => ["label", {}, ["input", { type: "radio", name, value, required: "" }], text],
  );
  const form = build([
    "form",
    {},
    ["fieldset", {}, ["legend", {}, question], ...choices],
    ["button", {}, submit],
  ]) as HTMLFormElement;
  form.onsubmit = (event) => {
    event.preventDefault();
    if (!(granted & Purpose.Measure)) return form.remove();
    tellAnswer(name, new FormData(form).get(name));
    const said = build(["p", { tabindex: -1 }, thanks]) as HTMLElement;
    form.replaceWith(said);
    said.focus();
  };
  return form;
};

// SPDX-License-Identifier: Apache-2.0

import { tellEvent } from "./events";

// Forms and carts that say by attributes what they are, so that a page needs no
// script for them. What a visitor types is never read.

const started = new WeakSet<Element>();

/** Tells of a form, in GA4's words; the first touch of it once. */
const tellForm = (name: string, form: HTMLElement) => tellEvent(name, { form_name: form.dataset.nearForm });

/** Tells that an item of GA4's, as the attributes have it, was put into the cart or taken out. */
const tellCart = (said: DOMStringMap) => {
  const { nearPrice } = said;
  const quantity = +(said.nearQuantity || 1);
  const price = nearPrice ? +nearPrice.replace(",", ".") : undefined;
  tellEvent(said.nearCart === "remove" ? "remove_from_cart" : "add_to_cart", {
    currency: said.nearCurrency,
    value: price && price * quantity,
    items: [{ item_id: said.nearItem, item_name: said.nearName, item_category: said.nearCategory, price, quantity }],
  });
};

/** Watches forms with data-near-form and buttons with data-near-cart, whenever they appear. */
export const watchMarkup = () => {
  const watch = (type: string, selector: string, onElement: (el: HTMLElement) => void) =>
    addEventListener(type, (event) => {
      const el = event.isTrusted && (event.target as Element).closest<HTMLElement>(selector);
      if (el) onElement(el);
    });
  watch("input", "[data-near-form]", (form) => {
    if (!started.has(form)) tellForm("form_start", form);
    started.add(form);
  });
  watch("submit", "[data-near-form]", (form) => tellForm("form_submit", form));
  watch("click", "[data-near-cart]", ({ dataset }) => tellCart(dataset));
};

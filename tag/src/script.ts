// SPDX-License-Identifier: Apache-2.0

/** The script element, beside whose address the collector is. */
export const script = document.currentScript as HTMLScriptElement;

/**
 * What the script element says: the site's id; the page's policy where no
 * signal speaks; whether slots may be asked for, without identifiers, before
 * consent is resolved; whether answers should explain themselves; how many
 * milliseconds a consent platform gets to answer.
 */
export const data = script.dataset;

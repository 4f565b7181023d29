// SPDX-License-Identifier: Apache-2.0

import { data, script } from "./script";

/**
 * Loads the debug view if the page's address has the key that the script element
 * names, and has the server explain its decisions to it.
 */
export const openDebug = () => {
  if (data.debug && new URL(location.href).searchParams.get("near_debug") === data.debug) {
    data.why ||= "";
    // An import passes where a policy forbids strings as script addresses, and
    // takes this script's nonce along.
    import(new URL("tag.debug.js", script.src).href);
  }
};

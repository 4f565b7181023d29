// SPDX-License-Identifier: Apache-2.0

/** Calls back at each navigation inside the document. */
export const whenNavigated = (callback: () => void) => {
  const { navigation } = window;
  let { pathname, search } = location;
  const look = (event?: Event) => {
    // A fragment is a place on the same page, and a replaced query its state.
    const isReplace = (event as NavigationCurrentEntryChangeEvent)?.navigationType === "replace";
    if (pathname !== location.pathname || (search !== location.search && !isReplace)) callback();
    ({ pathname, search } = location);
  };
  if (navigation) navigation.addEventListener("currententrychange", look);
  else {
    const push = history.pushState;
    history.pushState = (...args) => {
      push.apply(history, args);
      look();
    };
    addEventListener("popstate", look);
  }
};

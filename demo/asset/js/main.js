// SPDX-License-Identifier: Apache-2.0

import { startBar } from "./bar.js";
import { followBasket, startBasket, startCart } from "./basket.js";
import { watchLinks } from "./links.js";
import { startPanel } from "./panel.js";
import { startPrompt } from "./prompt.js";

watchLinks();
startPrompt();
startBar();
startBasket();
startCart();
followBasket();
startPanel();

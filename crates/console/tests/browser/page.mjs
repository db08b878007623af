// The page against the development server: each view's parts, before a real system stands behind them.
// An argument chooses the cases whose name contains it.

import { changes } from "./cases/changes.mjs";
import { keys } from "./cases/keys.mjs";
import { looks } from "./cases/looks.mjs";
import { places } from "./cases/places.mjs";
import { safety } from "./cases/safety.mjs";
import { speed } from "./cases/speed.mjs";
import { system } from "./cases/system.mjs";
import { telling } from "./cases/telling.mjs";
import { traces } from "./cases/traces.mjs";
import { run } from "./check.mjs";
import { browser } from "./on.mjs";

// The longest first, so that none of them is waited for alone.
const status = await run({ ...looks, ...safety, ...keys, ...places, ...system, ...traces, ...telling, ...changes, ...speed }, process.argv[2]);
await browser.close();
process.exit(status);

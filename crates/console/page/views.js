// The views by their word in the address. Each is a function of `redraw` to `{ render, place?, close? }`.

import { alerts } from "./alerts/view.js";
import { faults } from "./faults/view.js";
import { flags } from "./flags/view.js";
import { jobs } from "./jobs/view.js";
import { logs } from "./logs/view.js";
import { metrics } from "./metrics/view.js";
import { system } from "./system/view.js";
import { traces } from "./traces/view.js";

export const views = { system, traces, logs, metrics, alerts, jobs, flags, settings: flags, faults };

// The form by which something is broken.

import { change } from "../core/api.js";
import { ask, field } from "../parts/dialog.js";
import { say } from "../parts/toast.js";

const OF_EDGES = [["latency", "Latency: bytes arrive later"], ["partition", "Partition: nothing passes between two"], ["blackhole", "Black hole: connections stay open, nothing passes"], ["bandwidth", "Bandwidth: few bytes pass"], ["reset", "Reset: what is open, once"]];
const OF_PROCESSES = [["pause", "Pause: it stands still"], ["kill", "Kill: it dies, once"], ["disk-full", "Full disk: an engine can write no file"]];

/** Asks what to do to `of`, a node or an edge, or to whomever. */
export function inflict(of, again) {
  const options = of.includes(":") ? OF_EDGES : of ? [...OF_PROCESSES, ...OF_EDGES] : [...OF_EDGES, ...OF_PROCESSES];
  ask({
    title: of ? `Break ${of}` : "Break something",
    text: "It is shown on the picture, on charts and on traces, and ends by itself or when it is healed.",
    fields: () => [
      field("What", "kind", { options, value: options[0][0] }),
      field("Of", "of", { value: of, required: true, maxlength: 200, placeholder: "app-a:primary" }, "A node, a role, zone=a, or an edge of two of these, who opens the connection first"),
      field("Delay in ms", "delay_ms", { type: "number", min: 1, max: 60000, value: 100 }, "of a latency"),
      field("Bytes a second", "bytes_per_second", { type: "number", min: 1, value: 10000 }, "of a bandwidth"),
      field("Way", "way", { options: [["", "the usual"], ["there", "what the first end sends"], ["back", "what is sent to it"], ["both", "both"]], value: "" }, "of all but a reset"),
      field("Seconds", "for_s", { type: "number", min: 1, max: 86400, placeholder: "until it is healed", value: 30 }),
    ],
    action: "Break",
    isGrave: true,
    send: async (data) => {
      const { faults: [fault] } = await change("POST", "/api/faults", wish(data));
      say(`Fault ${fault.id}: ${fault.text}`);
      again();
    },
  });
}

/** What was asked, without the figures of other kinds. */
function wish({ kind, of, delay_ms: delay, bytes_per_second: bytes, way, for_s: seconds }) {
  const isOfProcesses = OF_PROCESSES.some(([word]) => word === kind);
  const isMomentary = kind === "kill" || kind === "reset";
  return {
    kind, of,
    delay_ms: kind === "latency" ? Number(delay) : undefined,
    bytes_per_second: kind === "bandwidth" ? Number(bytes) : undefined,
    way: way && !isOfProcesses && kind !== "reset" ? way : undefined,
    for_ms: seconds && !isMomentary ? Number(seconds) * 1000 : undefined,
  };
}

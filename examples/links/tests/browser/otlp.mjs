// Telemetry of a foreign program that means no good, over OTLP's JSON.

export const HOSTILE = '<script>window.stolen=1</script><img src=x onerror="window.stolen=1">';
export const HOSTILE_TRACE = "badc0ffee0ddf00dbadc0ffee0ddf00d";

const text = (key, value) => ({ key, value: { stringValue: value } });
const resource = { attributes: [text("service.name", "elsewhere"), text("service.instance.id", HOSTILE)] };

/** Sends a failed span and a log line of it with markup wherever text may stand. */
export async function sendHostile(otlp) {
  const start = BigInt(Date.now()) * 1_000_000n;
  const span = {
    traceId: HOSTILE_TRACE, spanId: "badc0ffee0ddf00d", name: HOSTILE, kind: 2,
    startTimeUnixNano: String(start), endTimeUnixNano: String(start + 250_000_000n),
    attributes: [text(HOSTILE, HOSTILE), text("url.full", `javascript:${HOSTILE}`), text("onefold.job.kind", HOSTILE)],
    events: [{ name: HOSTILE, timeUnixNano: String(start), attributes: [text(HOSTILE, HOSTILE)] }],
    status: { code: 2, message: HOSTILE },
  };
  const line = { timeUnixNano: String(start), severityNumber: 17, severityText: HOSTILE, body: { stringValue: HOSTILE }, traceId: HOSTILE_TRACE, spanId: span.spanId, attributes: [text(HOSTILE, HOSTILE)] };
  const post = async (path, body) => {
    const response = await fetch(`${otlp}${path}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    if (response.status !== 200) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  };
  await post("/v1/traces", { resourceSpans: [{ resource, scopeSpans: [{ scope: { name: HOSTILE }, spans: [span] }] }] });
  await post("/v1/logs", { resourceLogs: [{ resource, scopeLogs: [{ scope: { name: HOSTILE }, logRecords: [line] }] }] });
}

// A trace as a tree: order, depth, time of its own, and the cause of its failure.

/** `{ roots, byId, rows }`; rows are in reading order, `{ span, depth, children }`. Spans whose parent never came are roots. */
export function tree(spans) {
  const byId = new Map(spans.map((span) => [span.span_id, { span, depth: 0, children: [] }]));
  const roots = [];
  for (const row of byId.values()) {
    const parent = byId.get(row.span.parent_span_id);
    if (parent && parent !== row) parent.children.push(row);
    else roots.push(row);
  }
  const rows = [];
  const seen = new Set();
  const walk = (row, depth) => {
    if (seen.has(row)) return;
    seen.add(row);
    row.depth = depth;
    rows.push(row);
    row.children.sort(byStart).forEach((child) => walk(child, depth + 1));
  };
  roots.sort(byStart).forEach((root) => walk(root, 0));
  return { roots, byId, rows };
}

function byStart(a, b) {
  return a.span.offset_ms - b.span.offset_ms;
}

/** The rows that are seen when `folded` spans hide what is under them. */
export function unfolded(rows, folded) {
  const seen = [];
  let hiddenBelow = Infinity;
  for (const row of rows) {
    if (row.depth > hiddenBelow) continue;
    hiddenBelow = folded.has(row.span.span_id) ? row.depth : Infinity;
    seen.push(row);
  }
  return seen;
}

/** Time in a span while none of its children ran. */
export function ownMs({ span, children }) {
  const from = span.offset_ms;
  const to = from + span.duration_ms;
  let covered = 0;
  let until = from;
  for (const { span: child } of children) {
    const start = Math.max(until, child.offset_ms);
    const end = Math.min(to, child.offset_ms + child.duration_ms);
    if (end > start) {
      covered += end - start;
      until = end;
    }
  }
  return Math.max(0, span.duration_ms - covered);
}

/** `[[tier, ms]]`, the most first: where the time of the request went. */
export function byTier(rows) {
  const sums = new Map();
  for (const row of rows) {
    const tier = row.span.tier ?? "other";
    sums.set(tier, (sums.get(tier) ?? 0) + ownMs(row));
  }
  return [...sums].filter(([, ms]) => ms > 0).sort((a, b) => b[1] - a[1]);
}

/** The span in which a failure began: down from the failed root, by the failed child that ended last. */
export function cause({ roots, rows }) {
  const failed = (list) => list.filter((row) => row.span.status === "error").sort((a, b) => end(b) - end(a))[0];
  let at = failed(roots) ?? failed(rows);
  if (!at) return null;
  for (let next = at; next; next = failed(at.children)) at = next;
  return at;
}

function end({ span }) {
  return span.offset_ms + span.duration_ms;
}

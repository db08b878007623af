// From values to pixels, and the round numbers between.

export function scale(from, to, low, high) {
  const width = to - from || 1;
  return (value) => low + ((value - from) / width) * (high - low);
}

/** Round steps from 0 to `top`, about `wanted` of them. */
export function ticks(top, wanted = 4) {
  if (!(top > 0)) return [0, 1];
  const rough = top / wanted;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * magnitude >= rough) * magnitude;
  const found = [];
  for (let i = 0; i * step < top + step * 0.999; i += 1) found.push(Number((i * step).toPrecision(12)));
  return found;
}

const STEPS_S = [1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/** Seconds at which a time axis is labelled. */
export function timeTicks(start, end, wanted) {
  const step = STEPS_S.find((one) => (end - start) / one <= wanted) ?? 86400;
  const offset = new Date(end * 1000).getTimezoneOffset() * 60;
  const found = [];
  for (let at = Math.ceil((start - offset) / step) * step + offset; at <= end; at += step) found.push(at);
  return { at: found, step };
}

/** One path through the points; a gap longer than `gap` seconds stays open. */
export function line(points, x, y, gap = Infinity) {
  let path = "";
  let before = null;
  for (const [at, value] of points) {
    if (!Number.isFinite(value)) {
      before = null;
      continue;
    }
    const joined = before !== null && at - before <= gap;
    path += `${joined ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    before = at;
  }
  return path;
}

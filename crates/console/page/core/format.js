// Numbers with their units, short enough for a table and never without the unit.

/** Three digits that mean something, and no zeros behind them. */
function digits(value) {
  const size = Math.abs(value);
  return String(Number(size < 1 ? value.toPrecision(3) : value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)));
}

export function duration(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "–";
  if (ms === 0) return "0 ms";
  if (Math.abs(ms) < 1) return `${digits(ms * 1000)} µs`;
  if (Math.abs(ms) < 1000) return `${digits(ms)} ms`;
  if (Math.abs(ms) < 60_000) return `${digits(ms / 1000)} s`;
  return span(ms / 1000);
}

/** A long time in its two largest units. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  let rest = Math.max(0, Math.round(seconds));
  const words = [];
  for (const [unit, size] of parts) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count || (unit === "s" && !words.length)) words.push(`${count} ${unit}`);
  }
  return words.slice(0, 2).join(" ");
}

export function count(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e9) return `${digits(value / 1e9)} G`;
  if (size >= 1e6) return `${digits(value / 1e6)} M`;
  if (size >= 1e4) return `${digits(value / 1e3)} k`;
  return digits(value);
}

export function rate(perSecond) {
  return perSecond === null || perSecond === undefined ? "–" : `${count(round(perSecond))}/s`;
}

function round(value) {
  return value >= 100 ? Math.round(value) : Math.round(value * 10) / 10;
}

export function percent(share) {
  if (share === null || share === undefined || Number.isNaN(share)) return "–";
  const value = share * 100;
  if (value === 0) return "0 %";
  return value < 0.1 ? "< 0.1 %" : `${value >= 10 ? value.toFixed(0) : value.toFixed(1)} %`;
}

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = value;
  let unit = 0;
  while (Math.abs(size) >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${digits(size)} ${units[unit]}`;
}

/** A value of a metric by the unit that its panel names. */
export function quantity(value, unit) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  switch (unit) {
    case "s": return duration(value * 1000);
    case "/s": return rate(value);
    case "share": return percent(value);
    case "bytes": return bytes(value);
    case "age": return span(value);
    default: return unit ? `${count(value)} ${unit}` : count(value);
  }
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** A value of unknown shape, as text. */
export function plain(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

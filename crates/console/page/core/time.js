// Times in the reader's zone; the pointer shows them in UTC.

import { h } from "./dom.js";
import { span } from "./format.js";

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
const SHORT = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

function utc(date) {
  return Number.isNaN(date.getTime()) ? "" : `${date.toISOString().replace("T", " ").replace("Z", "")} UTC`;
}

function isToday(date) {
  return date.toDateString() === new Date().toDateString();
}

function element(text, date, key) {
  const title = utc(date);
  return h("time", { key, datetime: title ? date.toISOString() : undefined, title }, text);
}

function atDay(text, date) {
  return isToday(date) ? text : `${DAY.format(date)} ${text}`;
}

/** To the millisecond, for logs and spans. */
export function clock(at) {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? "–" : element(atDay(CLOCK.format(date), date), date);
}

/** To the second. */
export function moment(at) {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? "–" : element(atDay(SHORT.format(date), date), date);
}

/** How long ago. */
export function ago(at) {
  if (!at) return "–";
  const date = new Date(at);
  const seconds = (Date.now() - date.getTime()) / 1000;
  const words = seconds < 1 ? "now" : seconds < 86400 ? `${span(seconds).split(" ").slice(0, 2).join(" ")} ago` : DAY.format(date);
  return element(words, date);
}

/** A tick of a chart's time axis, as plain text. */
export function tick(seconds, isFine) {
  return (isFine ? SHORT : MINUTE).format(new Date(seconds * 1000));
}

export function exact(seconds) {
  return { local: SHORT.format(new Date(seconds * 1000)), utc: utc(new Date(seconds * 1000)) };
}

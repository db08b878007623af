// The observer's API: reads, changes, and what it says when it refuses.

import { csrf, lost } from "./session.js";
import { address } from "./router.js";

/** A refusal, in the words of the server. */
export class Refusal extends Error {
  constructor(status, detail, body) {
    super(detail);
    this.status = status;
    this.body = body;
  }
}

/** Reads JSON. */
export async function get(path, params, signal) {
  return answer(await reach(address(path, params), { signal }));
}

/** Changes something. */
export async function change(method, path, body) {
  const headers = { "content-type": "application/json", ...csrf() };
  const sent = body === undefined ? undefined : JSON.stringify(body);
  return answer(await reach(path, { method, headers, body: sent }));
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "The observer does not answer. The page goes on trying.");
  }
}

async function answer(response) {
  const text = await response.text();
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    // Not JSON: its status says enough.
  }
  if (response.ok) return body;
  if (response.status === 401) lost();
  throw new Refusal(response.status, detailOf(response, body), body);
}

function detailOf(response, body) {
  const detail = String(body?.detail ?? body?.error ?? body?.title ?? `${response.status} ${response.statusText}`);
  const parameter = body?.parameter ?? body?.field;
  return parameter && !detail.startsWith(parameter) ? `${parameter}: ${detail}` : detail;
}

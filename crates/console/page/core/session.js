// Who reads this page: nobody in particular, a viewer or an operator.

let session = { role: null, name: null, csrf: null, read: "open", system: null };
let wanted = false;
const listeners = new Set();

export const current = () => session;
export const mayOperate = () => session.role === "operate";
/** Whether the server refused a read for want of a session. */
export const isWanted = () => wanted;

export function onSession(listener) {
  listeners.add(listener);
}

/** The header that changes carry. */
export function csrf() {
  return session.csrf ? { "onefold-csrf": session.csrf } : {};
}

/** The server knows us no longer. */
export function lost() {
  wanted = session.read === "token";
  if (session.role) take({ ...session, role: null, csrf: null });
  else if (wanted) tell();
}

/** Learns who we are; logs in by the token in the address, which is then removed from it. */
export async function begin() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = fragment.get("token");
  if (token) {
    history.replaceState(null, "", location.pathname + location.search);
    // A link that was used before is no fault where its session is still there.
    if (await logIn(token).then(() => true, () => false)) return;
  }
  const response = await fetch("/api/session");
  if (response.ok) take(await response.json());
}

export async function logIn(token, name) {
  const body = JSON.stringify(name ? { token, name } : { token });
  const headers = { "content-type": "application/json" };
  const response = await fetch("/api/session", { method: "POST", headers, body });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.detail ?? `refused with status ${response.status}`);
  take(answer);
}

export async function logOut() {
  const response = await fetch("/api/session", { method: "DELETE", headers: csrf() });
  if (response.ok) take(await response.json());
}

function take(next) {
  session = next;
  wanted = session.read === "token" && !session.role;
  tell();
}

function tell() {
  for (const listener of listeners) listener(session);
}

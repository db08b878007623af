// Where the page is: a path and parameters, all of what a view shows, so that a link brings a colleague to the same.

const listeners = new Set();

/** The present place: `{ view, rest, params }`. */
export function here() {
  const [view, ...rest] = location.pathname.split("/").filter(Boolean);
  return { view: view ?? "system", rest, params: new URLSearchParams(location.search) };
}

/** An address within the page; parameters without a value are left out. */
export function address(path, params = {}) {
  const query = new URLSearchParams();
  const entries = params instanceof URLSearchParams ? [...params] : Object.entries(params);
  for (const [name, value] of entries) {
    for (const one of [value].flat()) {
      if (one !== undefined && one !== null && one !== "" && one !== false) query.append(name, one);
    }
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/** Goes there. `replace` leaves no entry in the history: for what changes while typing. */
export function go(to, { replace = false } = {}) {
  if (to === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", to);
  for (const listener of listeners) listener(here());
}

/** Changes parameters of the present place; the others stay, those that are there more than once too. */
export function amend(params, options = { replace: true }) {
  const { params: present } = here();
  const now = Object.fromEntries([...present.keys()].map((name) => [name, present.getAll(name)]));
  go(address(location.pathname, { ...now, ...params }), options);
}

/** Calls back at each change of place. Links within the page do not load it anew. */
export function onPlace(listener) {
  listeners.add(listener);
}

addEventListener("popstate", () => {
  for (const listener of listeners) listener(here());
});

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='/']");
  const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  // Not `link.target`: in a drawing that is an object, even where it is empty.
  if (!link || !isPlain || link.hasAttribute("target") || event.defaultPrevented) return;
  const to = link.getAttribute("href");
  if (to.startsWith("/api/")) return;
  event.preventDefault();
  const { pathname } = location;
  go(to);
  if (location.pathname !== pathname) scrollTo(0, 0);
});

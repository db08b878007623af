// The page's beginning: session, live data, and the view that the address names, drawn at most once a frame.

import { patch } from "./core/dom.js";
import * as keys from "./core/keys.js";
import * as live from "./core/live.js";
import * as router from "./core/router.js";
import * as session from "./core/session.js";
import * as theme from "./core/theme.js";
import * as dialog from "./parts/dialog.js";
import * as shell from "./parts/shell.js";
import * as toast from "./parts/toast.js";
import { views } from "./views.js";

const root = document.getElementById("app");
let open = null;
let isDue = false;

/** Draws with the next frame; many calls make one drawing. */
function redraw() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(draw);
}

function draw() {
  isDue = false;
  patch(root, shell.render(open.name, open.view));
}

/** Views stay open while the place changes within them. */
function show(place) {
  const name = place.view in views ? place.view : "system";
  if (open?.name !== name) {
    open?.view.close?.();
    keys.setKeys(null);
    open = { name, view: views[name](redraw) };
    document.title = `${shell.titleOf(name)} · Onefold`;
  }
  open.view.place?.(place);
  redraw();
}

theme.begin();
dialog.begin(redraw);
toast.begin(redraw);
keys.begin(shell.help);
live.onLive(redraw);
session.onSession(redraw);
router.onPlace(show);
show(router.here());
// What the document showed until now is not of our drawing.
root.replaceChildren();
draw();
session.begin().then(() => {
  live.begin();
  // What was refused for want of a session is asked again.
  let role = session.current().role;
  session.onSession((now) => {
    if (now.role && now.role !== role) open.view.place?.(router.here(), true);
    role = now.role;
  });
});

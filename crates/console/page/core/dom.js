// Elements as plain descriptions, and the one place that brings them into the document: by difference, so that focus,
// scrolling and selection survive each update. Text becomes text nodes and never markup.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "selected", "indeterminate", "disabled"]);
const drawn = new WeakMap();

/** Describes an element. A description that is handed in twice is taken as unchanged. */
export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, key: props?.key, children: children.flat(4).filter(isShown) };
}

function isShown(child) {
  return child !== null && child !== undefined && child !== false && child !== true && child !== "";
}

/** Makes the children of `parent` equal to the descriptions. */
export function patch(parent, children) {
  patchChildren(parent, children.flat(4).filter(isShown), parent.namespaceURI === SVG);
}

function patchChildren(parent, next, isSvg) {
  const before = drawn.get(parent) ?? [];
  const byKey = new Map();
  const loose = [];
  for (const entry of before) {
    if (entry.vnode.key !== undefined) byKey.set(entry.vnode.key, entry);
    else loose.push(entry);
  }
  const after = [];
  let at = 0;
  for (const vnode of next) {
    const old = vnode.key === undefined ? takeLoose(loose, at, vnode) : byKey.get(vnode.key);
    if (vnode.key === undefined && old) at = loose.indexOf(old) + 1;
    if (old && isAlike(old.vnode, vnode)) {
      if (vnode.key !== undefined) byKey.delete(vnode.key);
      else loose[at - 1] = null;
      update(old.element, old.vnode, vnode, isSvg);
      after.push({ vnode, element: old.element });
    } else {
      after.push({ vnode, element: create(vnode, isSvg) });
    }
  }
  for (const entry of before) {
    const gone = entry.vnode.key === undefined ? loose.includes(entry) : byKey.get(entry.vnode.key) === entry;
    if (gone) remove(entry);
  }
  place(parent, after);
  drawn.set(parent, after);
}

function takeLoose(loose, from, vnode) {
  for (let i = from; i < loose.length; i += 1) {
    if (loose[i] && isAlike(loose[i].vnode, vnode)) return loose[i];
  }
  return undefined;
}

function place(parent, entries) {
  let cursor = parent.firstChild;
  for (const { element } of entries) {
    if (element === cursor) cursor = cursor.nextSibling;
    else parent.insertBefore(element, cursor);
  }
}

function isAlike(a, b) {
  return typeof a === "object" && typeof b === "object" ? a.tag === b.tag : typeof a !== "object" && typeof b !== "object";
}

function create(vnode, isSvg) {
  if (typeof vnode !== "object") return document.createTextNode(String(vnode));
  const svg = isSvg || vnode.tag === "svg";
  const element = svg ? document.createElementNS(SVG, vnode.tag) : document.createElement(vnode.tag);
  patchChildren(element, vnode.children, svg);
  for (const [name, value] of Object.entries(vnode.props)) set(element, name, undefined, value);
  vnode.props.ref?.(element);
  return element;
}

function update(element, old, vnode, isSvg) {
  if (old === vnode) return;
  if (typeof vnode !== "object") {
    if (String(old) !== String(vnode)) element.nodeValue = String(vnode);
    return;
  }
  patchChildren(element, vnode.children, isSvg || vnode.tag === "svg");
  for (const name of Object.keys(old.props)) {
    if (!(name in vnode.props)) set(element, name, old.props[name], undefined);
  }
  for (const [name, value] of Object.entries(vnode.props)) set(element, name, old.props[name], value);
}

function remove({ vnode, element }) {
  vnode.props?.gone?.(element);
  element.remove();
}

function set(element, name, old, value) {
  if (name === "key" || name === "ref" || name === "gone") return;
  if (name === "style") return setStyle(element, old ?? {}, value ?? {});
  if (PROPERTIES.has(name)) {
    // What a person has typed stays, unless the description itself has changed.
    if (old !== value && element[name] !== (value ?? "")) element[name] = value ?? "";
    return undefined;
  }
  if (old === value) return undefined;
  if (name.startsWith("on")) {
    // What a handler answers means nothing here; to the browser, `false` would cancel the event.
    element[name] = value ? (event) => void value(event) : null;
  } else if (value === undefined || value === null || value === false) {
    element.removeAttribute(name);
  } else if (name === "href" && !/^[/#]/.test(value)) {
    element.removeAttribute(name);
  } else {
    element.setAttribute(name, value === true ? "" : value);
  }
  return undefined;
}

function setStyle(element, old, value) {
  for (const name of Object.keys(old)) {
    if (!(name in value)) element.style.removeProperty(name);
  }
  for (const [name, to] of Object.entries(value)) {
    if (old[name] !== to) element.style.setProperty(name, to);
  }
}

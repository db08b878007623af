// Names that fit their boxes: by the width that they are drawn with.

const KNOWN_MAX = 1000;
const known = new Map();
let pen = null;

/** A name without its middle where it is longer than `room` pixels: what tells siblings apart stands at its end. */
export function shortened(name, room, isSmall) {
  const key = `${isSmall} ${room} ${name}`;
  if (!known.has(key)) {
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(key, fitted(name, room, isSmall));
  }
  return known.get(key);
}

function fitted(name, room, isSmall) {
  pen ??= document.createElement("canvas").getContext("2d");
  pen.font = `580 ${isSmall ? 11.5 : 12.5}px ${getComputedStyle(document.body).fontFamily}`;
  let text = name;
  for (let length = name.length - 1; length > 2 && pen.measureText(text).width > room; length -= 1) {
    const tail = Math.floor(length * 0.6);
    text = `${name.slice(0, length - tail)}…${name.slice(name.length - tail)}`;
  }
  return text;
}

// Contrasts of what is really drawn, as WCAG 2.2 computes them: each text, sign and control against what lies beneath.

/** `{ checked, faint }`: how much was measured, and what falls short of AA, as `what: ratio (needs n)`. */
export async function contrast(page) {
  // What lies beneath is asked of the browser, which answers for the part that is seen, and for what takes the pointer.
  const { width, height } = page.viewportSize();
  const whole = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width, height: Math.min(6000, Math.max(height, whole)) });
  await page.evaluate(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("* { pointer-events: auto !important; }");
    document.adoptedStyleSheets = [sheet];
  });
  const found = await page.evaluate(measure);
  await page.evaluate(() => (document.adoptedStyleSheets = []));
  await page.setViewportSize({ width, height });
  return found;
}

// Runs in the page, and has no access to anything out here.
function measure() {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map();
  /** Any colour that CSS can write, as `[r, g, b, a]`. */
  const colour = (text) => {
    if (!known.has(text)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = text;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      known.set(text, [r, g, b, a / 255]);
    }
    return known.get(text);
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ratio = (a, b) => {
    const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  };
  const alpha = (style, name) => Number(style[name] ?? 1);

  /** What an element paints behind others: its background, or in a drawing its fill. */
  const ground = (element) => {
    const style = getComputedStyle(element);
    if (element instanceof SVGElement && element.tagName !== "svg") {
      // A `line` has a fill by its style, and no area that would take it.
      const fills = !/^(text|tspan|g|a|title|line)$/.test(element.tagName) && style.fill !== "none";
      if (!fills) return [0, 0, 0, 0];
      const [r, g, b, a] = colour(style.fill);
      return [r, g, b, a * alpha(style, "fillOpacity") * alpha(style, "opacity")];
    }
    return colour(style.backgroundColor);
  };
  const opacity = (element) => {
    let value = 1;
    for (let at = element; at; at = at.parentElement) value *= alpha(getComputedStyle(at), "opacity");
    return value;
  };
  /** What lies beneath an element at a point; null where something else lies on top of it there. */
  const beneath = (element, x, y) => {
    const stack = document.elementsFromPoint(x, y);
    const at = stack.findIndex((one) => one === element || element.contains(one));
    const from = at >= 0 ? at : stack.findIndex((one) => one.contains(element));
    if (from < 0) return null;
    const isCovered = stack.slice(0, from).some((one) => !element.contains(one) && ground(one)[3] > 0.5);
    if (isCovered) return null;
    const isOwn = element instanceof HTMLElement;
    let found = colour(getComputedStyle(document.documentElement).backgroundColor);
    if (found[3] < 1) found = colour(getComputedStyle(document.body).backgroundColor);
    for (const one of stack.slice(from).reverse()) {
      if (one === element && !isOwn) continue;
      found = over(ground(one), found);
    }
    return found;
  };
  const faint = new Map();
  let checked = 0;
  const judge = (what, element, front, box, needs) => {
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
    if (!box.width && !box.height) return;
    const back = beneath(element, x, y);
    if (!back) return;
    checked += 1;
    const [r, g, b, a] = colour(front);
    const found = ratio(over([r, g, b, a * opacity(element)], back), back);
    if (found < needs - 0.005) faint.set(`${what}: ${found.toFixed(2)} (needs ${needs})`, true);
  };
  const named = (element) => `${element.tagName.toLowerCase()}.${element.getAttribute("class") ?? ""} in .${element.parentElement?.getAttribute("class") ?? ""}`;
  const isShown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element || !isShown(element) || element.closest("title, noscript, option, .hidden, :disabled")) continue;
    const style = getComputedStyle(element);
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getClientRects()[0];
    if (!box) continue;
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const front = element instanceof SVGElement ? style.fill : style.color;
    judge(`"${node.data.trim().slice(0, 30)}" ${named(element)}`, element, front, box, isLarge ? 3 : 4.5);
  }
  for (const field of document.querySelectorAll("input, select, textarea")) {
    if (!isShown(field) || field.disabled) continue;
    const box = field.getBoundingClientRect();
    const isEmpty = "placeholder" in field && !field.value;
    judge(`the text of ${field.id}`, field, getComputedStyle(field, isEmpty ? "::placeholder" : null).color, box, 4.5);
    if (field.type !== "checkbox") judge(`the border of ${field.id}`, field.parentElement, getComputedStyle(field).borderTopColor, box, 3);
  }
  const drawn = ".sign path, path.sign, .tier path, path.tier, .link > path:first-child, .line, .spark-line, .point circle, .point path, .dot, .exemplars path";
  for (const shape of document.querySelectorAll(drawn)) {
    if (!isShown(shape) || !shape.getTotalLength()) continue;
    const style = getComputedStyle(shape);
    const front = style.stroke === "none" ? style.fill : style.stroke;
    const at = shape.getPointAtLength(shape.getTotalLength() / 2).matrixTransform(shape.getScreenCTM());
    // Where marks lie on one another, it is each other that they cover: their ground is to be seen beside.
    if (document.elementsFromPoint(at.x, at.y).some((one) => one !== shape && one.matches(drawn))) continue;
    const back = beneath(shape, at.x, at.y);
    if (!back) continue;
    checked += 1;
    const found = ratio(over([...colour(front).slice(0, 3), colour(front)[3] * opacity(shape)], back), back);
    if (found < 2.995) faint.set(`${named(shape)}: ${found.toFixed(2)} (needs 3)`, true);
  }
  return { checked, faint: [...faint.keys()] };
}

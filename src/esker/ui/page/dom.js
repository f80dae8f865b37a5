// Elements are made here and nowhere else. What a log says becomes text or an attribute's value, never HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    made.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return made;
}

export const element = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
export const drawn = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);
export const find = (id) => document.getElementById(id);

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// A table with a caption for those who do not see it; cells are text, columns that are numbers stand to the right.
export function table(caption, heads, rows, numeric = []) {
  const kind = (index) => (numeric.includes(index) ? "number" : null);
  return element("table", {},
    element("caption", { class: "hidden" }, caption),
    element("thead", {}, element("tr", {}, heads.map((head, index) => element("th", { scope: "col", class: kind(index) }, head)))),
    element("tbody", {}, rows.map((row) => element("tr", {}, row.map((cell, index) =>
      index === 0 ? element("th", { scope: "row" }, cell) : element("td", { class: kind(index) }, cell))))));
}

// A box that scrolls, by keyboard too.
export function scroller(label, ...children) {
  return element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label }, children);
}

export function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// What drives and arms did, as a Gantt chart for each tier. Zoom with + and -, move with the arrow keys, 0 shows all.

import { drawn, element, table } from "./dom.js";
import { bytes, count, percent, plural, seconds, timeStep } from "./numbers.js";

const LABEL = 74, ROW = 34, THICK = 20, AXIS = 26;
const KINDS = ["exchange", "mount", "locate", "transfer", "rewind", "unmount"];
const views = new Map();
let last = null;

export function drawDevices(body, devices) {
  last = [body, devices];
  const known = new Map([...body.querySelectorAll("[data-tier]")].map((node) => [node.dataset.tier, node]));
  const nodes = devices.tiers.map((tier) => {
    const node = known.get(tier.tier) || build(tier.tier);
    drawTier(node, tier);
    return node;
  });
  if (nodes.length !== body.querySelectorAll("[data-tier]").length) body.replaceChildren(...nodes, element("p", { class: "note", "data-note": true }));
  const notes = [];
  if (devices.merged_seconds > 0) notes.push(`Of ${count(devices.events)} events those within ${seconds(devices.merged_seconds)} of one another are drawn as one; the table counts all.`);
  if (devices.left_out) notes.push(`${count(devices.left_out)} events of further devices are not drawn.`);
  body.querySelector("[data-note]").textContent = notes.join(" ");
}

export function forgetDevices() {
  views.clear();
}

function build(name) {
  const node = element("div", { class: "tier", "data-tier": name });
  const button = (label, sign, act) => element("button", { type: "button", "aria-label": label, title: label, onclick: () => act() }, sign);
  const again = () => last && drawDevices(...last);
  node.append(
    element("div", { class: "tierhead" },
      element("h3", {}, name ? shortTier(name) : "devices of the join"),
      element("div", { class: "legend", "data-legend": true }),
      element("div", { class: "zoom", role: "group", "aria-label": "Zoom the time" },
        button("Earlier", "←", () => { shift(name, -0.25); again(); }), button("Later", "→", () => { shift(name, 0.25); again(); }),
        button("Zoom out", "−", () => { zoom(name, 2); again(); }), button("Zoom in", "+", () => { zoom(name, 0.5); again(); }),
        button("All of it", "all", () => { views.delete(name); again(); }))),
    element("div", {
      class: "gantt", "data-chart": true, tabindex: "0", role: "img",
      onkeydown: (event) => {
        const act = { "+": () => zoom(name, 0.5), "=": () => zoom(name, 0.5), "-": () => zoom(name, 2), ArrowLeft: () => shift(name, -0.25), ArrowRight: () => shift(name, 0.25), 0: () => views.delete(name) }[event.key];
        if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        act();
        again();
      },
    }),
    element("div", { class: "scroll", "data-busy": true }));
  return node;
}

const shortTier = (name) => name.replace(/^(\w+:)\/.*\/([^/]+)$/, "$1…/$2");

function extent(name, tier) {
  const bars = tier.devices.flatMap((device) => device.bars);
  const all = [bars.reduce((least, bar) => Math.min(least, bar[0]), Infinity), bars.reduce((most, bar) => Math.max(most, bar[1]), -Infinity)];
  if (all[1] <= all[0]) all[1] = all[0] + 1e-6;
  const view = views.get(name) || { from: all[0], to: all[1] };
  views.set(name, { ...view, all, whole: !views.has(name) || (view.whole && view.to <= all[1]) });
  const kept = views.get(name);
  if (kept.whole) [kept.from, kept.to] = all;
  return kept;
}

function zoom(name, factor) {
  const view = views.get(name);
  if (!view) return;
  const middle = (view.from + view.to) / 2, half = ((view.to - view.from) * factor) / 2;
  set(view, middle - half, middle + half);
}

function shift(name, part) {
  const view = views.get(name);
  if (!view) return;
  const by = (view.to - view.from) * part;
  set(view, view.from + by, view.to + by);
}

function set(view, from, to) {
  const [first, end] = view.all, length = Math.min(Math.max(to - from, 1e-7), end - first);
  view.from = Math.min(Math.max(from, first), end - length);
  view.to = view.from + length;
  view.whole = length >= (end - first) * 0.9999;
}

function drawTier(node, tier) {
  const chart = node.querySelector("[data-chart]");
  const width = Math.max(560, chart.clientWidth);
  const view = extent(tier.tier, tier), start = view.all[0];
  const scale = (width - LABEL - 12) / (view.to - view.from);
  const height = ROW * tier.devices.length + AXIS;
  const at = (moment) => LABEL + (moment - view.from) * scale;
  const picture = drawn("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const step = timeStep(view.to - view.from, Math.max(3, Math.round(width / 130)));
  for (let tick = Math.ceil((view.from - start) / step) * step; tick <= view.to - start + step * 1e-6; tick += step) {
    const x = at(start + tick);
    picture.append(drawn("line", { class: "grid", x1: x, x2: x, y1: 0, y2: height - AXIS }),
      drawn("text", { class: "tick", x: Math.min(x, width - 20), y: height - 8, "text-anchor": "middle" }, seconds(Math.max(0, Number(tick.toPrecision(9))))));
  }
  tier.devices.forEach((device, row) => {
    const middle = row * ROW + ROW / 2;
    picture.append(drawn("line", { class: "track", x1: LABEL, x2: width - 12, y1: middle, y2: middle }),
      drawn("text", { x: LABEL - 10, y: middle, "text-anchor": "end", "dominant-baseline": "central" }, device.device));
    for (const bar of device.bars) if (bar[1] >= view.from && bar[0] <= view.to) picture.append(...drawBar(bar, middle, view, at, start));
  });
  chart.replaceChildren(picture);
  chart.setAttribute("aria-label", `Timeline over ${seconds(view.all[1] - start)} of ${plural(tier.devices.length, "device", "devices")}; the table below says how long each was busy. Plus and minus zoom, arrows move, zero shows all.`);
  const kinds = kindsOf(tier);
  node.querySelector("[data-legend]").replaceChildren(...kinds.map((kind) => element("span", {}, element("span", { class: `swatch ${kindClass(kind)}` }), kind)));
  node.querySelector("[data-busy]").replaceChildren(busyTable(tier, kinds, view.all[1] - start));
}

function drawBar(bar, middle, view, at, start) {
  const [from, to, kind, about, merged] = bar;
  const x = at(Math.max(from, view.from)), length = Math.max(at(Math.min(to, view.to)) - x, 0.7);
  const words = `${merged > 1 ? `${count(merged)} events, most of it ${kind}` : kind}, ${seconds(to - from)} from ${seconds(from - start)}${about ? `\n${about}` : ""}`;
  const shown = [drawn("rect", { class: `bar ${kindClass(kind)}`, x: x.toFixed(2), y: middle - THICK / 2, width: length.toFixed(2), height: THICK, rx: length > 6 ? 3 : 0 },
    drawn("title", {}, words))];
  const cartridge = /(?:^|, )cartridge (\S+?)(?:,|$)/.exec(about || "");
  const label = merged > 1 ? "" : cartridge ? `${kind} ${cartridge[1]}` : kind;
  if (label && length > label.length * 7 + 10) shown.push(drawn("text", { class: "inbar", x: x + length / 2, y: middle, "text-anchor": "middle", "dominant-baseline": "central" }, label));
  return shown;
}

function kindsOf(tier) {
  const kinds = [...new Set(tier.devices.flatMap((device) => Object.keys(device.busy)))];
  const place = (kind) => (KINDS.includes(kind) ? KINDS.indexOf(kind) : KINDS.length);
  return kinds.sort((one, other) => place(one) - place(other) || (one < other ? -1 : 1));
}

const kindClass = (kind) => (KINDS.includes(kind) ? `kind-${kind}` : "kind-other");

function busyTable(tier, kinds, length) {
  const rows = tier.devices.map((device) => {
    const busy = Object.values(device.busy).reduce((sum, one) => sum + one, 0);
    return [device.device, ...kinds.map((kind) => (device.busy[kind] ? seconds(device.busy[kind]) : "")), `${seconds(busy)} (${percent(Math.min(1, busy / length))})`, device.bytes ? bytes(device.bytes) : ""];
  });
  return table("How long each device was busy", ["device", ...kinds, "busy", "moved"], rows, kinds.map((_, index) => index + 1).concat([kinds.length + 1, kinds.length + 2]));
}

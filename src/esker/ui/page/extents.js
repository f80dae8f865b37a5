// Extents of a thaw: a square each, and the queue of those that an archive has to bring back.

import { drawn, element, scroller, table } from "./dom.js";
import { bytes, cost, count, percent, plural, seconds } from "./numbers.js";

const STATES = [["read", "read"], ["readable", "readable, not read yet"], ["asked", "asked for, still cold"], ["planned", "not asked for yet"]];
const ROWS_MAX = 400, SIDE = 13, SPACE = 3;

export function drawExtents(body, shown) {
  const { counts, extents } = shown, all = extents.length;
  const queue = extents.filter((one) => one.state === "asked");
  const words = STATES.filter(([state]) => counts[state]).map(([state, name]) => `${count(counts[state])} ${name}`).join(", ");
  body.parentElement.querySelector("h2").textContent = shown.recalled ? "Restore queue" : "Extents";
  const opened = body.querySelector("details")?.open;
  body.replaceChildren(
    element("div", { class: "stack", role: "img", "aria-label": words },
      STATES.filter(([state]) => counts[state]).map(([state]) => share(state, counts[state] / all))),
    element("p", { class: "legend" }, STATES.filter(([state]) => counts[state]).map(([state, name]) =>
      element("span", {}, element("span", { class: `swatch extent-${state}` }), `${count(counts[state])} ${name}`))),
    grid(extents, body.clientWidth, words),
    shown.recalled ? element("p", { class: "note" }, queue.length
      ? `${plural(queue.length, "extent waits", "extents wait")} in the archive, asked for ${seconds(shown.asked_at)} into the query${shown.waited ? `, waited for ${seconds(shown.waited)}` : ""}: ${bytes(queue.reduce((sum, one) => sum + (one.size ?? 0), 0))} of payload.`
      : "Nothing waits in the archive any more.") : "",
    shown.left_out ? element("p", { class: "note" }, `${count(shown.left_out)} further extents are counted nowhere here.`) : "",
    thaws(shown.thaws),
    list(extents, opened));
}

function share(state, part) {
  const made = element("span", { class: `extent-${state}` });
  made.style.width = `${100 * part}%`;
  return made;
}

function grid(extents, width, words) {
  const columns = Math.max(8, Math.floor(width / (SIDE + SPACE)));
  const shown = extents.slice(0, columns * 24);
  const height = Math.ceil(shown.length / columns) * (SIDE + SPACE);
  return drawn("svg", { class: "squares", width: columns * (SIDE + SPACE), height, role: "img", "aria-label": `${words}, one square each` },
    shown.map((extent, index) => drawn("rect", {
      class: `extent-${extent.state}`, x: (index % columns) * (SIDE + SPACE), y: Math.floor(index / columns) * (SIDE + SPACE), width: SIDE, height: SIDE, rx: 2,
    }, drawn("title", {}, `${extent.key}: ${extent.state}${extent.bytes ? `, ${bytes(extent.bytes)}` : ""}`))));
}

function thaws(all) {
  return element("ul", { class: "thaws" }, all.map((thaw) => element("li", {},
    element("strong", {}, thaw.choice || "thaw"), ` from ${thaw.tier.replace(/\?.*$/, "")}`,
    thaw.reason ? element("span", { class: "because" }, thaw.reason) : "",
    element("span", { class: "small" }, [thaw.cost && `planned ${cost(thaw.cost)}`, thaw.counted && `counted ${cost(thaw.counted)}`,
      thaw.cost && thaw.full && thaw.full.bytes > thaw.cost.bytes && `${percent(thaw.cost.bytes / thaw.full.bytes)} of a full read's bytes`].filter(Boolean).join(" — ")))));
}

function list(extents, opened) {
  const waits = { asked: 0, readable: 1, planned: 2, read: 3 };
  const sorted = [...extents].sort((one, other) => waits[one.state] - waits[other.state]);
  const rows = sorted.slice(0, ROWS_MAX).map((extent) => [extent.key, extent.state,
    extent.asked === undefined ? "" : seconds(extent.asked), extent.ready === undefined || extent.ready === null ? "" : seconds(extent.ready),
    extent.bytes ? bytes(extent.bytes) : "", extent.requests ? count(extent.requests) : ""]);
  const more = extents.length > ROWS_MAX ? element("p", { class: "note" }, `The first ${count(ROWS_MAX)} of ${count(extents.length)}.`) : "";
  return element("details", { open: opened }, element("summary", {}, "Each extent"),
    scroller("Extents", table("Extents", ["extent", "state", "asked at", "readable after", "read", "requests"], rows, [2, 3, 4, 5])), more);
}

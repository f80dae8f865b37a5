// The ring: a band for each copy, coloured by the node that holds it there; nodes at their points, those away crossed out.

import { drawn, element, scroller } from "./dom.js";
import { bytes, count, percent, plural, seconds } from "./numbers.js";

const SIZE = 420, MIDDLE = SIZE / 2, OUTER = 152, BAND = 20, THIN = 3;
const COLOURS = 10, NAMED_MAX = 24;
let chosen = null;

export function drawCluster(body, shown) {
  const focused = document.activeElement?.closest?.("[data-node]")?.dataset.node;
  const opened = body.querySelector("details")?.open;
  const status = shown.status;
  body.replaceChildren(
    status ? element("div", { class: "cluster" }, element("div", { class: "ringbox" }, ring(status)), beside(body, shown)) : "",
    shown.problem ? element("p", { class: "problem" }, shown.problem) : "",
    shown.events.length ? happened(shown.events, opened ?? true) : "");
  if (focused !== undefined) body.querySelector(`button[data-node="${CSS.escape(focused)}"]`)?.focus();
}

const colour = (status, node) => `node-${status.nodes.findIndex((one) => one.node === node) % COLOURS}`;

function on(radius, turn) {
  const angle = turn * 2 * Math.PI - Math.PI / 2;
  return [MIDDLE + radius * Math.cos(angle), MIDDLE + radius * Math.sin(angle)].map((value) => value.toFixed(2));
}

function sector(inner, outer, start, share) {
  const end = start + Math.min(share, 0.99999), large = share > 0.5 ? 1 : 0;
  return `M${on(outer, start)}A${outer} ${outer} 0 ${large} 1 ${on(outer, end)}L${on(inner, end)}A${inner} ${inner} 0 ${large} 0 ${on(inner, start)}Z`;
}

function ring(status) {
  const copies = Math.max(1, status.replicas), band = Math.min(BAND, 84 / copies);
  const many = status.nodes.reduce((sum, node) => sum + node.points.length, 0) > 60;
  const picture = drawn("svg", { class: "ring", viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img", "aria-label": inWords(status) });
  for (const arc of status.arcs) {
    arc.holders.forEach((node, copy) => {
      const outer = OUTER - copy * (band + THIN);
      const dim = chosen !== null && chosen !== node ? " dim" : "";
      picture.append(drawn("path", { class: `arc ${colour(status, node)}${dim}`, d: sector(outer - band, outer, arc.start, arc.share) },
        drawn("title", {}, `copy ${copy + 1} of ${copies} of this arc (${percent(arc.share)} of the ring): ${named(node)}; copies on ${arc.holders.map((one) => named(one)).join(", ")}`)));
    });
  }
  for (const node of status.nodes) {
    for (const place of node.points) {
      const [x, y] = on(OUTER + 13, place).map(Number);
      picture.append(drawn("circle", { class: `point ${node.state} ${colour(status, node.node)}`, cx: x, cy: y, r: many ? 3 : 7 }, drawn("title", {}, `${node.node}: ${node.state}${node.address ? `, ${node.address}` : ""}`)));
      if (node.state === "down" && !many) picture.append(drawn("path", { class: "cross", d: `M${x - 4} ${y - 4}l8 8m0-8l-8 8` }));
    }
  }
  if (status.nodes.length <= NAMED_MAX) picture.append(...names(status));
  const up = status.nodes.filter((node) => node.state === "up").length;
  picture.append(drawn("text", { class: "big", x: MIDDLE, y: MIDDLE - 12, "text-anchor": "middle" }, `${up} of ${status.nodes.length}`),
    drawn("text", { class: "tick", x: MIDDLE, y: MIDDLE + 9, "text-anchor": "middle" }, "nodes up"),
    drawn("text", { class: "tick", x: MIDDLE, y: MIDDLE + 27, "text-anchor": "middle" }, plural(copies, "copy each", "copies each")));
  return picture;
}

// Each node's name at that of its points which is farthest from the names written already.
function names(status) {
  const taken = [];
  const away = (place) => Math.min(1, ...taken.map((one) => Math.min(Math.abs(one - place), 1 - Math.abs(one - place))));
  return status.nodes.filter((node) => node.points.length).map((node) => {
    const place = node.points.reduce((best, one) => (away(one) > away(best) ? one : best));
    taken.push(place);
    const [x, y] = on(OUTER + 34, place);
    return drawn("text", { x, y, "text-anchor": "middle", "dominant-baseline": "central", class: node.state === "down" ? "away" : null }, node.node);
  });
}

const named = (node) => (/^\d+$/.test(node) ? `node ${node}` : node);

function inWords(status) {
  const away = status.nodes.filter((node) => node.state !== "up");
  return `Ring of ${plural(status.nodes.length, "node", "nodes")}, ${plural(status.replicas, "copy", "copies")} of each unit. ` +
    (away.length ? away.map((node) => `${named(node.node)} is ${node.state}`).join(", ") : "All are up.");
}

function beside(body, shown) {
  const status = shown.status;
  const shares = new Map(status.nodes.map((node) => [node.node, [0, 0]]));
  for (const arc of status.arcs) arc.holders.forEach((node, copy) => { const share = shares.get(node); if (share) { share[1] += arc.share; if (copy === 0) share[0] += arc.share; } });
  const facts = [["epoch", count(status.epoch)], ["units", count(status.units)], ["placement", status.placement],
    ["short of copies", count(status.short)], ["lost", count(status.lost)], ["in doubt", count(status.in_doubt)],
    ["puts", Object.entries(shown.transactions).map(([state, number]) => `${count(number)} ${state.replaceAll("_", " ")}`).join(", ") || null]].filter(([, value]) => value !== null && value !== "–");
  const rows = status.nodes.map((node) => element("tr", { class: node.state === "down" ? "away" : null },
    element("th", { scope: "row" }, element("button", {
      type: "button", class: "nodename", "data-node": node.node, "aria-pressed": String(chosen === node.node), title: "Show its arcs",
      onclick: () => { chosen = chosen === node.node ? null : node.node; drawCluster(body, shown); },
    }, element("span", { class: `swatch ${colour(status, node.node)}` }), named(node.node))),
    element("td", {}, node.address ?? ""),
    element("td", {}, element("span", { class: `pill ${node.state}` }, node.state)),
    element("td", { class: "number" }, node.state === "down" ? "" : percent(shares.get(node.node)[0])),
    element("td", { class: "number" }, node.state === "down" ? "" : percent(shares.get(node.node)[1])),
    element("td", { class: "number" }, count(node.units)),
    element("td", { class: "number" }, node.bytes === null ? "–" : bytes(node.bytes))));
  return element("div", { class: "beside" },
    element("dl", { class: "facts inline" }, facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)))),
    status.lost ? element("p", { class: "problem" }, `All copies are gone of ${plural(status.lost, "unit", "units")}${status.lost_names.length ? `: ${status.lost_names.join(", ")}` : ""}.`) : "",
    status.short ? element("p", { class: "note" }, `${plural(status.short, "unit has", "units have")} fewer copies than wanted, and ${status.short === 1 ? "is" : "are"} being repaired.`) : "",
    scroller("Nodes", element("table", {}, element("caption", { class: "hidden" }, "Nodes of the cluster"),
      element("thead", {}, element("tr", {}, [["node"], ["address"], ["state"], ["primary for", 1], ["holds", 1], ["units", 1], ["bytes", 1]].map(([name, number]) => element("th", { scope: "col", class: number ? "number" : null }, name)))),
      element("tbody", {}, rows))));
}

function happened(events, opened) {
  return element("details", { open: opened, class: "happened" }, element("summary", {}, `What happened (${count(events.length)})`),
    element("ol", { class: "log" }, events.slice(-60).reverse().map((event) => element("li", {},
      element("span", { class: "at" }, seconds(event.seconds)),
      element("span", { class: `pill kind ${/down|left|aborted|given up/.test(event.kind) ? "down" : /^(up|has copies)$/.test(event.kind) ? "up" : "suspect"}` }, event.kind.replaceAll("_", " ")),
      event.node !== null ? element("span", {}, named(event.node)) : "", element("span", { class: "small" }, event.detail)))));
}

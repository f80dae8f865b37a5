// The plan as cards, leaves at the left: rows flow to the right. Cards stay the same elements while the query runs, so
// that focus stays where it is.

import { drawn, element, setText, table } from "./dom.js";
import { bytes, cost, count, money, percent, plural, seconds } from "./numbers.js";

const WIDTH = 214, NARROW = 158, HEIGHT = 104, GAP = 62, NEAR = 30, BETWEEN = 18;
const WORDS = { waiting: "waiting", running: "running", done: "done", stopped: "stopped" };

let shape = "";
let cards = new Map();
let chosen = 0;
let steps = [];
let wide = WIDTH, gap = GAP;

export function drawPlan(body, plan) {
  steps = plan.steps;
  const now = JSON.stringify([body.clientWidth, steps.map((step) => [step.id, step.parent, step.operator, step.choice])]);
  if (now !== shape || !body.firstChild) {
    shape = now;
    build(body);
  }
  for (const step of steps) update(step);
  body.querySelector("[data-work]").replaceChildren(...plan.work.map(work));
  body.querySelector("[data-cut]").hidden = !plan.cut;
  details(body);
}

// From elsewhere on the page, to this step.
export function chooseStep(body, id) {
  if (!cards.has(id)) return;
  choose(body, id);
  cards.get(id).button.focus();
}

export function forgetPlan() {
  shape = "";
  chosen = 0;
}

function places(room) {
  const below = new Map(steps.map((step) => [step.id, []]));
  for (const step of steps) if (step.parent !== null) below.get(step.parent).push(step);
  const place = new Map();
  let row = 0, deepest = 0;
  const put = (step, depth) => {
    deepest = Math.max(deepest, depth);
    const rows = below.get(step.id).map((one) => put(one, depth + 1));
    const at = rows.length ? (rows[0] + rows[rows.length - 1]) / 2 : row++;
    place.set(step.id, { depth, row: at });
    return at;
  };
  if (steps.length) put(steps[0], 0);
  // Cards get narrower before one has to scroll.
  gap = room >= (deepest + 1) * (WIDTH + GAP) - GAP ? GAP : NEAR;
  wide = Math.floor(Math.min(WIDTH, Math.max(NARROW, (room - 2 - deepest * gap) / (deepest + 1))));
  for (const one of place.values()) {
    one.x = (deepest - one.depth) * (wide + gap);
    one.y = one.row * (HEIGHT + BETWEEN);
  }
  return { place, width: (deepest + 1) * (wide + gap) - gap, height: Math.max(1, row) * (HEIGHT + BETWEEN) - BETWEEN, below };
}

function build(body) {
  const { place, width, height, below } = places(body.clientWidth);
  cards = new Map();
  const edges = drawn("svg", { class: "edges", width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const list = element("ol", { class: "cards", "aria-label": "Steps of the plan, the result first" });
  list.style.width = `${width}px`;
  list.style.height = `${height}px`;
  for (const step of steps) {
    const { x, y } = place.get(step.id);
    const parts = {
      edge: null,
      rows: element("span", { class: "figure" }),
      size: element("span", { class: "small" }),
      state: element("span", { class: "small state" }),
      progress: element("span", { class: "progress" }, element("span", {})),
    };
    const button = element("button", {
      type: "button", class: "card", "data-step": step.id, tabindex: step.id === chosen ? "0" : "-1",
      onclick: () => choose(body, step.id), onkeydown: (event) => move(body, event, step, below, place),
    },
      element("span", { class: "name" }, step.operator),
      step.choice && element("span", { class: "choice" }, step.choice),
      parts.rows, parts.size, parts.state, parts.progress);
    button.style.width = `${wide}px`;
    button.style.left = `${x}px`;
    button.style.top = `${y}px`;
    if (step.parent !== null) {
      const to = place.get(step.parent);
      const [x1, y1, x2, y2] = [x + wide, y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
      const bend = (x2 - x1) / 2;
      parts.edge = drawn("path", { d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`, class: "edge" });
      edges.append(parts.edge);
    }
    list.append(element("li", {}, button));
    cards.set(step.id, { button, ...parts });
  }
  body.replaceChildren(
    element("div", { class: "scroll plan" }, element("div", { class: "canvas" }, edges, list)),
    element("p", { class: "note", "data-cut": true, hidden: true }, "The plan is larger than is drawn here."),
    element("ul", { class: "work", "data-work": true, "aria-label": "Work under way" }),
    element("div", { class: "details", "data-details": true, role: "group", "aria-label": "The chosen step" }));
}

function update(step) {
  const card = cards.get(step.id);
  card.button.dataset.state = step.state;
  setText(card.rows, step.rows === null ? "" : plural(step.rows, "row", "rows"));
  const size = [];
  if (step.bytes !== null) size.push(bytes(step.bytes));
  if (step.rows_in !== null && step.rows !== null && step.rows_in > 0 && step.rows_in !== step.rows) {
    size.push(`${percent(step.rows / step.rows_in)} of ${count(step.rows_in)}`);
  }
  if (!size.length && step.actual) size.push(`read ${bytes(step.actual.bytes)}`);
  if (!size.length && step.estimated && step.state !== "done") size.push(`about ${bytes(step.estimated.bytes)}`);
  setText(card.size, size.join(" · "));
  const state = [WORDS[step.state]];
  if (step.spilled_bytes) state.push(`spilled ${bytes(step.spilled_bytes)}`);
  if (step.partitions !== null && step.partitions > 1 && step.state !== "done") state.push(`${count(step.partitions_done ?? 0)}/${count(step.partitions)} partitions`);
  setText(card.state, state.join(" · "));
  const part = step.state === "done" ? 1 : step.partitions ? (step.partitions_done || 0) / step.partitions : 0;
  card.progress.firstChild.style.width = `${100 * Math.min(1, part)}%`;
  card.button.setAttribute("aria-pressed", String(step.id === chosen));
  if (card.edge) {
    card.edge.style.strokeWidth = `${1.5 + Math.min(6, Math.log10((step.rows || 0) + 1))}px`;
    card.edge.classList.toggle("flowing", step.state === "running");
  }
}

function choose(body, id) {
  chosen = id;
  for (const [other, card] of cards) {
    card.button.setAttribute("aria-pressed", String(other === id));
    card.button.tabIndex = other === id ? 0 : -1;
  }
  details(body);
}

function move(body, event, step, below, place) {
  const beside = steps.filter((one) => one.id !== step.id && place.get(one.id).depth === place.get(step.id).depth)
    .sort((one, other) => place.get(one.id).row - place.get(other.id).row);
  const here = place.get(step.id).row;
  const next = {
    ArrowRight: () => step.parent,
    ArrowLeft: () => below.get(step.id)[0]?.id,
    ArrowDown: () => beside.find((one) => place.get(one.id).row > here)?.id,
    ArrowUp: () => beside.filter((one) => place.get(one.id).row < here).pop()?.id,
    Home: () => 0,
    End: () => steps[steps.length - 1].id,
  }[event.key]?.();
  if (next === undefined || next === null) return;
  event.preventDefault();
  choose(body, next);
  cards.get(next).button.focus();
}

function details(body) {
  const step = steps.find((one) => one.id === chosen) || steps[0];
  const box = body.querySelector("[data-details]");
  if (!step) { box.replaceChildren(); return; }
  const facts = [...step.facts];
  if (step.partitions !== null) facts.push(["partitions read", `${count(step.partitions_done ?? 0)} of ${count(step.partitions)}`]);
  if (step.batches !== null) facts.push(["batches", count(step.batches)]);
  if (step.started !== null && step.seen > step.started) facts.push(["busy", `${seconds(step.started)} to ${seconds(step.seen)}`]);
  if (step.reason) facts.push(["because", step.reason]);
  const costs = [];
  if (step.estimated) costs.push(["estimated", step.estimated]);
  if (step.actual) costs.push(["actual", step.actual]);
  for (const [name, other] of step.alternatives) if (other) costs.push([`instead of ${name}`, other]);
  const paid = costs.some(([, one]) => one.money);
  box.replaceChildren(
    element("h3", {}, step.operator, step.choice && element("span", { class: "choice" }, step.choice)),
    facts.length ? element("dl", { class: "facts" }, facts.map(([name, value]) =>
      element("div", {}, element("dt", {}, name.replaceAll("_", " ")), element("dd", {}, value)))) : "",
    costs.length ? table(`Costs of ${step.operator}`, ["cost", "bytes", "requests", "mounts", "time", ...(paid ? ["price"] : [])],
      costs.map(([name, one]) => [name, bytes(one.bytes), count(one.requests), count(one.mounts), seconds(one.seconds), ...(paid ? [money(one.money)] : [])]),
      [1, 2, 3, 4, 5]) : "");
}

function work(one) {
  const unit = one.unit === "bytes" ? bytes : (value) => `${count(value)} ${one.unit}`;
  const words = one.total ? `${unit(one.done)} of ${unit(one.total)}` : unit(one.done);
  return element("li", {}, element("span", { class: "name" }, one.name),
    one.total ? element("progress", { max: one.total, value: Math.min(one.done, one.total), "aria-label": one.name }) : "",
    element("span", { class: "small" }, words));
}

// The page: asks the server for one stream, and gives each part that changed to the one who draws it.

import { drawCluster } from "./cluster.js";
import { drawDevices, forgetDevices } from "./devices.js";
import { element, find, scroller, setText, table } from "./dom.js";
import { drawExtents } from "./extents.js";
import { bytes, cost, count, moment, money, plural, seconds } from "./numbers.js";
import { drawPartitions } from "./partitions.js";
import { chooseStep, drawPlan, forgetPlan } from "./plan.js";
import { drawSeries, forgetSeries } from "./series.js";

const SILENT_SECONDS = 60;
const TITLES = { findings: "Findings", plan: "Plan", series: "Memory", devices: "Devices", extents: "Extents", partitions: "Partitions", cluster: "Cluster", events: "Events" };
const DRAW = { findings: drawFindings, plan: drawPlan, series: drawSeries, devices: drawDevices, extents: drawExtents, partitions: drawPartitions, events: drawEvents };

const asked = new URLSearchParams(location.search);
let stream = null;
let summary = null;
let log = null;
let logs = [];
let heardAt = 0;
let place = null;
let inLog = null;
let outside = null;
const content = {};

connect();
find("log").addEventListener("change", () => go({ log: find("log").value, run: null }));
find("run").addEventListener("change", () => go({ run: find("run").value || null }));
find("choose").addEventListener("submit", (event) => event.preventDefault());
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  if (!content.series) return;
  forgetSeries(bodyOf("series"));
  drawSeries(bodyOf("series"), content.series);
});
setInterval(clock, 500);

// Pictures are drawn for the width that there is, which changes with the window and with the parts beside them.
const widths = new Map();
const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const name = target.parentElement.id;
    if (widths.get(name) === target.clientWidth) continue;
    widths.set(name, target.clientWidth);
    if (content[name] && target.clientWidth) DRAW[name](target, content[name]);
  }
});
for (const name of ["plan", "series", "devices", "extents", "partitions"]) resized.observe(bodyOf(name));


function go(changes) {
  for (const [name, value] of Object.entries(changes)) value === null ? asked.delete(name) : asked.set(name, value);
  if (asked.get("log") === "latest") asked.delete("log");
  history.replaceState(null, "", asked.size ? `/?${asked}` : "/");
  connect();
}

function connect() {
  stream?.close();
  const wanted = new URLSearchParams();
  for (const name of ["log", "run"]) if (asked.has(name)) wanted.set(name, asked.get(name));
  stream = new EventSource(`/events?${wanted}`);
  const hear = (name, act) => stream.addEventListener(name, (event) => { heardAt = performance.now(); act(JSON.parse(event.data)); });
  stream.addEventListener("open", () => connection("live", "live"));
  stream.addEventListener("error", () => connection("lost", "no connection: is `esker ui` still running?"));
  hear("logs", (found) => { logs = found; chooseLog(); });
  hear("log", (found) => { log = found; about(); });
  hear("run", (found) => { place = found.run; forget(); about(); });
  hear("summary", (found) => { const before = summary; summary = found; drawSummary(before); });
  hear("cluster", (found) => { inLog = found; cluster(); });
  hear("cluster_now", (found) => { outside = found; cluster(); });
  for (const name of Object.keys(DRAW)) hear(name, (found) => draw(name, found));
}

function connection(state, words) {
  find("connection").dataset.state = state;
  setText(find("connection"), words);
}

function bodyOf(name) {
  return find(name).querySelector("[data-body]");
}

function show(name, shown) {
  if (find(name).hidden === !shown) return;
  find(name).hidden = !shown;
  const parts = Object.keys(TITLES).filter((one) => !find(one).hidden);
  find("sections").replaceChildren(...parts.map((one) => element("li", {}, element("a", { href: `#${one}` }, TITLES[one]))));
}

function draw(name, found) {
  content[name] = found;
  show(name, found !== null);
  if (found !== null) DRAW[name](bodyOf(name), found);
}

// Another query is shown from now on: nothing of the last one stays.
function forget() {
  summary = null;
  inLog = null;
  for (const name of Object.keys(DRAW)) {
    delete content[name];
    if (name === "series") forgetSeries(bodyOf(name));
    bodyOf(name).replaceChildren();
    show(name, false);
  }
  forgetPlan();
  forgetDevices();
  cluster();
}

function cluster() {
  // A cluster that is asked knows better than a log.
  const found = outside?.status ? outside : inLog ?? outside;
  const status = found?.status ?? null;
  const shown = { status, events: found?.events ?? [], transactions: found?.transactions ?? {}, problem: outside?.problem ?? null };
  const any = status !== null || shown.events.length > 0 || shown.problem !== null;
  show("cluster", any);
  if (any) drawCluster(bodyOf("cluster"), shown);
  else bodyOf("cluster").replaceChildren();
}

// ---- which log, which query ----

function chooseLog() {
  const now = asked.get("log") ?? "latest";
  const names = { running: "● ", done: "", failed: "✕ ", stopped: "■ " };
  const options = [element("option", { value: "latest" }, "the latest"),
    ...logs.map((one) => element("option", { value: one.name }, `${names[one.state] ?? ""}${one.name}`))];
  if (now !== "latest" && !logs.some((one) => one.name === now)) options.push(element("option", { value: now }, `${now} (gone)`));
  fillSelect(find("log"), options, now);
}

function about() {
  find("problem").hidden = !log?.problem;
  setText(find("problem"), log?.problem ?? "");
  const runs = log ? log.runs - log.first_run : 0;
  find("run-choice").hidden = runs < 2;
  if (runs > 1) {
    const options = [element("option", { value: "" }, `the last of ${count(log.runs)}`)];
    for (let run = log.runs - 1; run >= log.first_run; run -= 1) options.push(element("option", { value: run }, `${count(run + 1)} of ${count(log.runs)}`));
    fillSelect(find("run"), options, asked.get("run") ?? "");
  }
  clock();
}

function fillSelect(select, options, value) {
  const written = (all) => all.map((one) => `${one.value}\n${one.textContent}`).join("\n");
  if (written([...select.options]) !== written(options)) select.replaceChildren(...options);
  if (select.value !== value) select.value = value;
}

// ---- the query in figures ----

function silent() {
  if (!log) return 0;
  return Date.now() / 1000 - log.modified;
}

function stateNow() {
  if (!summary) return null;
  return summary.state === "running" && silent() > SILENT_SECONDS ? "silent" : summary.state;
}

function clock() {
  const state = stateNow();
  const pill = find("state");
  pill.hidden = state === null;
  if (state === null) return;
  const words = { running: "running", done: "done", failed: "failed", stopped: "stopped", silent: `no word for ${seconds(Math.floor(silent()))}` };
  pill.dataset.state = state;
  setText(pill, words[state]);
  const time = find("tiles").querySelector("[data-time]");
  if (time && state === "running") setText(time, seconds(summary.seconds + Math.max(0, Math.min(silent(), SILENT_SECONDS))));
}

function drawSummary(before) {
  find("empty").hidden = true;
  const name = log ? log.name : "";
  const title = summary.title ? summary.title[0].toUpperCase() + summary.title.slice(1) : "Query";
  setText(find("title"), title);
  document.title = `${title} · ${name} · esker`;
  const command = [summary.started !== null && `started ${moment(summary.started)}`, log && `${name}, ${bytes(log.size)}`, summary.threads !== null && plural(summary.threads, "thread", "threads"), summary.version !== null && `Esker ${summary.version}`].filter(Boolean);
  find("command").hidden = !command.length;
  setText(find("command"), command.join(" · "));
  find("reason").hidden = !summary.reason;
  setText(find("reason"), summary.reason ?? "");
  find("tiles").replaceChildren(...tiles());
  find("notes").hidden = !summary.notes.length;
  find("notes").replaceChildren(...summary.notes.map((note) => element("li", {}, note)));
  if (before && before.state !== summary.state) setText(find("said"), `${title}: ${summary.state}${summary.rows !== null ? `, ${plural(summary.rows, "row", "rows")}` : ""}`);
  clock();
}

function tiles() {
  const { rows, peak, budget, spilled, read, requests, counted, estimated } = summary;
  const made = [tile("Time", element("span", { "data-time": true }, seconds(summary.seconds)))];
  made.push(tile("Rows", rows === null ? "–" : count(rows)));
  if (peak !== null) {
    const meter = budget ? element("meter", { min: 0, max: budget, value: Math.min(peak, budget), high: budget * 0.9, "aria-label": "peak of the memory budget" }) : "";
    made.push(tile("Memory, peak", bytes(peak), budget ? `of ${bytes(budget)}` : "", meter));
  }
  if (spilled !== null) made.push(tile("Spilled", spilled ? bytes(spilled) : "nothing"));
  if (read || requests) made.push(tile("Read", bytes(read), plural(requests, "request", "requests")));
  const paid = counted ?? estimated;
  if (paid && (paid.mounts || paid.money || counted)) {
    const below = [paid.mounts && plural(paid.mounts, "mount", "mounts"), paid.money && money(paid.money),
      counted && estimated && `estimated ${seconds(estimated.seconds)}`].filter(Boolean);
    made.push(tile(counted ? "Device time" : "Device time, estimated", seconds(paid.seconds), below.join(" · ")));
  }
  return made;
}

function tile(name, value, below = "", more = "") {
  return element("div", {}, element("dt", {}, name), element("dd", {}, value, below && element("span", { class: "small" }, below), more));
}

// ---- small parts ----

function drawFindings(body, found) {
  body.replaceChildren(...found.map((one) => element("li", {}, one.text,
    one.step === null ? "" : element("button", { type: "button", class: "tostep", onclick: () => chooseStep(bodyOf("plan"), one.step) }, "show the step"))));
}

function drawEvents(body, found) {
  const opened = body.querySelector("details")?.open;
  body.replaceChildren(
    element("p", { class: "counts" }, found.counts.map(([name, number]) => element("span", {}, `${name} `, element("b", {}, count(number))))),
    element("details", { open: opened }, element("summary", {}, "The last lines of the log"),
      scroller("The last lines of the log", table("The last events", ["seconds", "event", "fields"],
        found.last.slice().reverse().map(([at, name, line]) => [at.toFixed(3), name, line])))));
}

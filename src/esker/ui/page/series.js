// Memory against its budget, and what was read and spilled, over the seconds of the query.

import { color, element } from "./dom.js";
import { bytes, seconds, tickSeconds } from "./numbers.js";

const LINES = {
  held: { label: "held by operators", color: "--blue", fill: true },
  process: { label: "whole process", color: "--soft" },
  budget: { label: "budget", color: "--red", dash: [6, 4] },
  spill: { label: "in spill files", color: "--orange", fill: true },
  spilled: { label: "spilled so far", color: "--purple" },
  read: { label: "read so far", color: "--green", fill: true },
};
const CHARTS = [
  { name: "memory", title: "Memory", lines: ["held", "process", "budget"] },
  { name: "disk", title: "Read and spilled", lines: ["read", "spilled", "spill"] },
];
const HEIGHT = 210;

let charts = [];

export function drawSeries(body, series) {
  const wanted = CHARTS.map((chart) => ({ ...chart, lines: shownLines(chart.lines, series) })).filter((chart) => chart.lines.length);
  const now = JSON.stringify(wanted.map((chart) => chart.lines));
  if (body.dataset.shape !== now) build(body, wanted, now);
  for (const chart of charts) {
    const width = Math.max(280, chart.box.clientWidth);
    if (chart.plot.width !== width) chart.plot.setSize({ width, height: HEIGHT });
    const columns = [series.seconds, ...chart.lines.map((name) => series.lines[name])];
    chart.plot.setData(columns);
    chart.box.setAttribute("aria-label", words(chart, series));
    // Without a pointer over the chart the legend tells the last figures.
    if (!(chart.plot.cursor.left >= 0)) chart.plot.setLegend({ idx: series.seconds.length - 1 });
  }
  const holders = body.querySelector("[data-holders]");
  holders.replaceChildren(...(series.holders.length ? [element("span", {}, "now held by: "),
    ...series.holders.map(([name, size]) => element("span", { class: "holder" }, `${name} ${bytes(size)}`))] : []));
  holders.append(...farBudget(series));
}

export function forgetSeries(body) {
  for (const chart of charts) chart.plot.destroy();
  charts = [];
  delete body.dataset.shape;
}

function top(values) {
  return values ? values.reduce((most, value) => Math.max(most, value || 0), 0) : 0;
}

// A budget far above what is used would flatten everything else: it is told in words then.
function budgetIsNear(series) {
  return top(series.lines.budget) <= 6 * Math.max(top(series.lines.held), top(series.lines.process));
}

function shownLines(names, series) {
  const found = names.filter((name) => series.lines[name] && (name === "held" || name === "process" || top(series.lines[name]) > 0));
  return found.filter((name) => name !== "budget" || (budgetIsNear(series) && found.includes("held")));
}

function farBudget(series) {
  const budget = top(series.lines.budget);
  return budget && !budgetIsNear(series) ? [element("span", { class: "holder" }, `budget ${bytes(budget)}, far above`)] : [];
}

function words(chart, series) {
  return `${chart.title} over ${seconds(series.seconds[series.seconds.length - 1])}: ` +
    chart.lines.map((name) => `${LINES[name].label} at most ${bytes(top(series.lines[name]))}`).join(", ");
}

function build(body, wanted, now) {
  forgetSeries(body);
  const boxes = wanted.map((chart) => element("figure", { class: "chart" },
    element("figcaption", {}, chart.title), element("div", { class: "plot", role: "img" })));
  body.replaceChildren(element("div", { class: "charts" }, boxes), element("p", { class: "holders", "data-holders": true }),
    wanted.some((chart) => chart.lines.includes("process")) ? element("p", { class: "note" },
      "The budget is for what is used beyond an idle interpreter with Esker loaded; the whole process has that too.") : "");
  charts = wanted.map((chart, index) => {
    const box = boxes[index].lastChild;
    return { ...chart, box, plot: new uPlot(options(chart, box.clientWidth), [[0], ...chart.lines.map(() => [null])], box) };
  });
  body.dataset.shape = now;
}

function options(chart, width) {
  const axis = { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  return {
    width: Math.max(280, width), height: HEIGHT, legend: { live: true },
    cursor: { drag: { x: true, y: false }, points: { size: 7 } },
    scales: { x: { time: false, range: (_, __, most) => [0, Math.max(0.001, most ?? 0)] }, y: { range: (_, __, most) => [0, Math.max(1, most) * 1.06] } },
    axes: [
      { ...axis, size: 30, space: 84, values: (_, ticks) => ticks.map((tick) => tickSeconds(tick, ticks)) },
      { ...axis, size: 74, values: (_, ticks) => ticks.map((tick) => bytes(tick)), incrs: byteSteps() },
    ],
    series: [
      { label: "time", value: (_, value) => (value === null ? "–" : seconds(value)) },
      ...chart.lines.map((name) => {
        const line = LINES[name], stroke = color(line.color);
        return {
          label: line.label, stroke, width: 1.8, dash: line.dash, spanGaps: true, points: { show: false },
          fill: line.fill ? stroke + "22" : undefined, paths: name === "budget" ? undefined : uPlot.paths.stepped({ align: 1 }),
          value: (_, value) => (value === null || value === undefined ? "–" : bytes(value)),
        };
      }),
    ],
  };
}

function byteSteps() {
  const steps = [];
  for (let unit = 1; unit < 2 ** 52; unit *= 1024) for (const factor of [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]) steps.push(unit * factor);
  return steps;
}


// Rows of each partition of a shuffle: one that is much larger than the others is seen at once.

import { drawn, element } from "./dom.js";
import { bytes, count, plural, short } from "./numbers.js";

const HEIGHT = 132, LEFT = 46, SKEWED = 2;

export function drawPartitions(body, shown) {
  body.replaceChildren(...shown.shuffles.map((shuffle) => element("figure", { class: "partitions" },
    element("figcaption", {}, element("strong", {}, shuffle.by ? `${shuffle.name} by ${shuffle.by}` : shuffle.name), ` ${shuffle.inner ? "within a partition that did not fit · " : ""}${words(shuffle)}`),
    shuffle.bars.length ? columns(shuffle, Math.max(260, body.clientWidth)) : "",
    facts(shuffle))));
}

function words(shuffle) {
  const parts = [];
  if (shuffle.rows !== null) parts.push(plural(shuffle.rows, "row", "rows"));
  if (shuffle.partitions) parts.push(`${plural(shuffle.partitions, "partition", "partitions")}`);
  if (shuffle.largest_rows !== null && shuffle.mean) parts.push(`largest ${count(shuffle.largest_rows)} rows (${(shuffle.largest_rows / shuffle.mean).toFixed(1)} × the mean)`);
  if (shuffle.empty) parts.push(`${count(shuffle.empty)} empty`);
  if (shuffle.sides.length === 2 && shuffle.sides[0] !== null) parts.push(`${count(shuffle.sides[0])} rows of the left side, ${count(shuffle.sides[1])} of the right`);
  return parts.join(" · ");
}

function columns(shuffle, width) {
  const most = Math.max(1, ...shuffle.bars), wide = (width - LEFT - 4) / shuffle.bars.length;
  const high = (rows) => (rows / most) * (HEIGHT - 26);
  const bottom = HEIGHT - 18;
  const picture = drawn("svg", { width, height: HEIGHT, role: "img", "aria-label": `Rows of each partition: ${words(shuffle)}` });
  for (const part of [0.5, 1]) {
    const y = bottom - high(most * part);
    picture.append(drawn("line", { class: "grid", x1: LEFT, x2: width - 4, y1: y, y2: y }), drawn("text", { class: "tick", x: LEFT - 6, y: y + 4, "text-anchor": "end" }, short(most * part)));
  }
  shuffle.bars.forEach((rows, index) => {
    const first = index * shuffle.group, end = Math.min(shuffle.partitions, first + shuffle.group) - 1;
    picture.append(drawn("rect", {
      class: rows > SKEWED * shuffle.mean ? "column skewed" : "column", x: (LEFT + index * wide).toFixed(2), width: Math.max(0.8, wide - (wide > 4 ? 1.5 : 0)).toFixed(2),
      y: (bottom - high(rows)).toFixed(2), height: Math.max(rows ? 1 : 0, high(rows)).toFixed(2),
    }, drawn("title", {}, first === end ? `partition ${first}: ${count(rows)} rows` : `partitions ${first} to ${end}: at most ${count(rows)} rows`)));
  });
  if (shuffle.mean) {
    const y = bottom - high(shuffle.mean);
    picture.append(drawn("line", { class: "mean", x1: LEFT, x2: width - 4, y1: y, y2: y }, drawn("title", {}, `mean ${count(shuffle.mean)} rows`)));
  }
  picture.append(drawn("line", { class: "track", x1: LEFT, x2: width - 4, y1: bottom, y2: bottom }),
    drawn("text", { class: "tick", x: LEFT, y: HEIGHT - 4 }, "0"), drawn("text", { class: "tick", x: width - 4, y: HEIGHT - 4, "text-anchor": "end" }, `partition ${shuffle.partitions - 1}`));
  return picture;
}

function facts(shuffle) {
  return element("dl", { class: "facts inline" }, shuffle.facts.map(([name, value]) =>
    element("div", {}, element("dt", {}, name.replaceAll("_", " ")), element("dd", {}, name.endsWith("bytes") ? bytes(value) : count(value)))));
}

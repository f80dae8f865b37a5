// Numbers as people read them; the same words as in `explain()` and in reports.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export const count = (value) => (value === null || value === undefined ? "–" : whole.format(value));

export function short(value) {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (Math.abs(value) >= size) return `${trimmed(value / size)}${unit}`;
  }
  return whole.format(value);
}

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return unit === 0 ? `${whole.format(value)} B` : `${value.toFixed(value < 100 ? 1 : 0)} ${units[unit]}`;
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0 s";
  if (value < 0.0001) return `${trimmed(value * 1e6)} µs`;
  if (value < 0.1) return `${trimmed(value * 1000)} ms`;
  if (value < 60) return `${value.toFixed(1)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min ${pad(value % 60)} s`;
  if (value < 172800) return `${Math.floor(value / 3600)} h ${pad((value % 3600) / 60)} min`;
  return `${(value / 86400).toFixed(1)} days`;
}

// As many places as tell neighbours on an axis apart.
export function tickSeconds(tick, ticks) {
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : 1;
  if (tick >= 60 || step >= 1) return step >= 1 ? seconds(tick).replace(/^(\d+)\.0 s$/, "$1 s") : seconds(tick);
  return `${Number(tick.toFixed(Math.min(6, Math.ceil(-Math.log10(step) - 1e-9))))} s`;
}

export const percent = (part) => `${(100 * part).toFixed(part < 0.1 ? 1 : 0)} %`;
export const money = (value) => `$${value.toFixed(2)}`;
export const plural = (value, one, many) => `${count(value)} ${value === 1 ? one : many}`;

export function moment(wallSeconds) {
  return new Date(wallSeconds * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

export function cost(value) {
  const parts = [bytes(value.bytes), plural(value.requests, "request", "requests")];
  if (value.mounts) parts.push(plural(value.mounts, "mount", "mounts"));
  parts.push(seconds(value.seconds));
  if (value.money) parts.push(money(value.money));
  return parts.join(" · ");
}

// Round steps for an axis of time.
export function timeStep(length, wanted) {
  const rough = length / wanted;
  const known = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
  if (rough > 1 && rough <= 86400) return known.find((step) => step >= rough);
  const unit = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * unit).find((step) => step >= rough * 0.999999);
}

const trimmed = (value) => value.toFixed(value < 10 ? 1 : 0).replace(/\.0$/, "");
const pad = (value) => String(Math.floor(value)).padStart(2, "0");

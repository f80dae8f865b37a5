// What the browser's tests ask of the page.

// Texts whose contrast with what is behind them is below 4.5, as WCAG 2 computes it.
function tooFaint() {
  const rgb = (color) => color.match(/[\d.]+/g).map(Number);
  const linear = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = (node) => {
    for (let one = node; one; one = one.parentElement) {
      const color = rgb(getComputedStyle(one).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    if (!node.checkVisibility() || node.closest("option, .hidden, .skip, tr.away")) continue;
    const inSvg = node instanceof SVGElement;
    const text = [...node.childNodes].filter((one) => one.nodeType === 3).map((one) => one.textContent.trim()).join("");
    if (!text || (inSvg && !node.matches("text.tick"))) continue;
    const style = getComputedStyle(node);
    const lights = [light(rgb(inSvg ? style.fill : style.color)), light(behind(inSvg ? node.closest("div") : node))];
    const ratio = (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
    if (ratio < 4.5) found.push(`${node.tagName}.${node.getAttribute("class")} "${text.slice(0, 30)}" ${ratio.toFixed(2)}`);
  }
  return found;
}

// Controls, pictures and tables that a screen reader could not name.
function nameless() {
  return [...document.querySelectorAll("button, select, meter, progress, [role=img], [tabindex='0'], table")]
    .filter((node) => node.checkVisibility())
    .filter((node) => !(node.getAttribute("aria-label") || node.textContent.trim() || node.labels?.length || node.querySelector("caption")))
    .map((node) => node.outerHTML.slice(0, 120));
}

// What the browser says when text is made HTML, or a script.
function madeHtml(text) {
  try { document.body.innerHTML = text; return "made"; } catch (error) { return error.name; }
}

function madeScript() {
  const script = document.createElement("script");
  try { script.textContent = "window.broken = 1"; } catch { /* refused */ }
  document.head.append(script);
  return window.broken ?? null;
}

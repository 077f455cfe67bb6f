"use strict";

/* Tables: a heading's button sorts by its column; what is empty stays last either way. */
const collator = new Intl.Collator("en", { numeric: true });

function valueOf(cell) {
  const value = cell.dataset.value;
  if (value === undefined) return cell.textContent;
  return value === "" ? null : Number(value);
}

function order(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return collator.compare(String(a), String(b));
}

function sortBy(heading) {
  const table = heading.closest("table");
  const body = table.tBodies[0];
  const way = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const other of heading.parentElement.cells) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", way);
  const rows = Array.from(body.rows, (row) => ({ row, value: valueOf(row.cells[heading.cellIndex]) }));
  const sign = way === "ascending" ? 1 : -1;
  rows.sort((a, b) => {
    if (a.value === null || b.value === null) return (a.value === null) - (b.value === null);
    return sign * order(a.value, b.value);
  });
  table.dataset.sorted = heading.cellIndex;
  body.append(...rows.map(({ row }) => row));
  document.getElementById("told").textContent = `Sorted by ${heading.textContent}, ${way}.`;
}

document.addEventListener("click", (event) => {
  const heading = event.target.closest("th[aria-sort]");
  if (heading) sortBy(heading);
});

/* Figures: drawn in the page's colours and width, and again when those change. */
const WIDE = window.matchMedia("(min-width: 48rem)");
const DARK = window.matchMedia("(prefers-color-scheme: dark)");
const COARSE = window.matchMedia("(pointer: coarse)");
const AXIS = /^[xy]axis\d*$/;

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/* Black stands out on paper; on a dark page light does. */
function inked(data) {
  if (!DARK.matches) return structuredClone(data);
  const light = (value) => value.replace(/^#000000$/, color("--ink")).replace(/^rgba\(0,0,0,/, "rgba(255,255,255,");
  return JSON.parse(JSON.stringify(data), (_, value) => (typeof value === "string" ? light(value) : value));
}

function dressed(figure) {
  const layout = structuredClone(WIDE.matches ? figure.layout : (figure.narrow ?? figure.layout));
  const font = { family: getComputedStyle(document.body).fontFamily, color: color("--ink"), size: WIDE.matches ? 14 : 12 };
  const clear = "rgba(0,0,0,0)";
  Object.assign(layout, { font, paper_bgcolor: clear, plot_bgcolor: clear, autosize: true, uirevision: WIDE.matches });
  layout.hoverlabel = { bgcolor: color("--raised"), bordercolor: color("--muted"), font };
  for (const name of Object.keys(layout).filter((one) => AXIS.test(one))) {
    Object.assign(layout[name], { gridcolor: color("--line"), linecolor: color("--muted"), tickcolor: color("--muted") });
  }
  delete layout.width;
  arrange(layout, figure.data);
  if (COARSE.matches) layout.dragmode = false; /* a finger scrolls the page; the buttons zoom */
  return layout;
}

/* What the caption says need not stand in the legend; on a phone its entries stand in rows of two at the foot. */
function arrange(layout, data) {
  if (!layout.annotations?.length) layout.margin = { ...layout.margin, t: 20 };
  if (!layout.legend) return;
  delete layout.legend.title;
  if (WIDE.matches) return;
  const rows = Math.ceil(data.filter((trace) => trace.showlegend !== false).length / 2);
  const foot = 60 + 20 * rows;
  layout.height = (layout.height ?? 400) + foot - (layout.margin?.b ?? 60);
  layout.margin = { ...layout.margin, b: foot };
  layout.legend = { orientation: "h", x: 0, y: 0, xref: "container", yref: "container", yanchor: "bottom" };
}

function draw(plot, figure) {
  const layout = dressed(figure);
  if (layout.height) plot.style.height = `${layout.height}px`;
  delete layout.height;
  return Plotly.react(plot, inked(figure.data), layout, { responsive: true, displayModeBar: false });
}

function zoom(plot, figure, factor) {
  const change = {};
  for (const name of Object.keys(plot.layout).filter((one) => AXIS.test(one))) {
    const range = plot.layout[name].range;
    const given = figure.layout[name] ?? {};
    if (factor === null && given.range) {
      change[`${name}.range`] = [...given.range];
    } else if (factor === null) {
      change[`${name}.autorange`] = given.autorange ?? true;
    } else if (range) {
      const [low, high] = range.map(Number);
      const reach = ((high - low) / 2) * factor;
      change[`${name}.range`] = [(low + high) / 2 - reach, (low + high) / 2 + reach];
    }
  }
  return Plotly.relayout(plot, change);
}

function act(plot, figure, deed) {
  if (deed === "save") Plotly.downloadImage(plot, { format: "svg", filename: plot.dataset.figure });
  else if (deed) zoom(plot, figure, { in: 2 / 3, out: 3 / 2, all: null }[deed]);
}

function start() {
  const data = document.getElementById("figure-data");
  if (!data) return;
  const figures = JSON.parse(data.textContent);
  const plots = Array.from(document.querySelectorAll(".plot"));
  const drawAll = () => plots.forEach((plot) => draw(plot, figures[plot.dataset.figure]));
  drawAll();
  for (const plot of plots) {
    const buttons = plot.nextElementSibling;
    buttons.hidden = false;
    buttons.addEventListener("click", (event) => act(plot, figures[plot.dataset.figure], event.target.dataset.deed));
  }
  DARK.addEventListener("change", drawAll);
  WIDE.addEventListener("change", drawAll);
}

start();

// Everything from a run directory is text: it enters the page by textContent, and Plotly escaped.
const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
};

const escaped = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

const exponent = (value) => Math.floor(Math.log10(Math.abs(value)));

// How many decimals distinguish the values: three digits of their range, and no two alike, as in Python's tables.
const decimalsOf = (values, least = 4) => {
  const distinct = [...new Set(values.filter(Number.isFinite))].sort((a, b) => a - b);
  if (distinct.length < 2) return least;
  const most = 14 - exponent(Math.max(...distinct.map(Math.abs)));
  let digits = Math.max(least, Math.min(most, 2 - exponent(distinct.at(-1) - distinct[0])));
  while (digits < most && new Set(distinct.map((value) => number(value, digits))).size < distinct.length) digits++;
  return digits;
};

const number = (value, digits = 4) => {
  if (typeof value !== "number") return value ?? "";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const enough = Math.max(digits, 2 - exponent(value));
  if (Math.abs(value) >= 1e6) return value.toPrecision(3);
  return Math.abs(value) >= 1e-4 ? value.toFixed(enough) : value.toExponential(enough + exponent(value));
};

const duration = (seconds) =>
  typeof seconds !== "number"
    ? ""
    : seconds < 60
      ? `${seconds.toFixed(1)} s`
      : seconds < 3600
        ? `${(seconds / 60).toFixed(1)} min`
        : `${(seconds / 3600).toFixed(1)} h`;

const words = (name) => name.replace(/\//g, " ").replace(/_/g, " ");

const select = (title, options, chosen, change) =>
  element(
    "label",
    {},
    title,
    element(
      "select",
      { onchange: (event) => change(event.target.value), "aria-label": title },
      options.map(([value, text]) => element("option", { value, selected: value === chosen }, text)),
    ),
  );

// The function that a control calls with its chosen value.
const choose = (state, key) => (value) => {
  state[key] = value;
  render();
};

const check = (title, on, change) =>
  element(
    "label",
    {},
    element("input", {
      type: "checkbox",
      checked: on,
      "aria-label": title,
      onchange: (event) => change(event.target.checked),
    }),
    title,
  );

// A table of texts; columns from `first` on hold numbers.
const tableOf = (headings, rows, first) => {
  const line = (tag, cells) =>
    element(
      "tr",
      {},
      cells.map((cell, i) => element(tag, { class: i >= first && "number" }, cell)),
    );
  const head = element("thead", {}, line("th", headings));
  return element(
    "table",
    {},
    head,
    element(
      "tbody",
      {},
      rows.map((cells) => line("td", cells)),
    ),
  );
};

// Okabe and Ito's colours, which colour-blind readers can tell apart; symbols and dashes tell them apart in grey.
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"];
const SYMBOLS = ["circle", "square", "triangle-up", "diamond", "x", "triangle-down", "star", "cross"];
const DASHES = ["solid", "dash", "dashdot", "longdash"];
const look = (index) => ({
  colour: COLOURS[index % COLOURS.length],
  symbol: SYMBOLS[index % SYMBOLS.length],
  dash: DASHES[Math.floor(index / COLOURS.length) % DASHES.length],
});

const LAYOUT = {
  font: { family: 'system-ui, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif', size: 13, color: "#1b1f24" },
  margin: { l: 64, r: 16, t: 30, b: 48 },
  paper_bgcolor: "#fff",
  plot_bgcolor: "#fff",
  hoverlabel: { align: "left", namelength: -1 },
  legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", tracegroupgap: 0 },
};
const AXIS = { gridcolor: "#e6e9ec", zerolinecolor: "#d0d5da", automargin: true };

const plot = (target, traces, layout) =>
  Plotly.react(
    target,
    traces,
    { ...LAYOUT, ...layout, xaxis: { ...AXIS, ...layout.xaxis }, yaxis: { ...AXIS, ...layout.yaxis } },
    { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] },
  );

// A plot under its title, which Plotly's own would put below its toolbar.
const titled = (title, target) => element("figure", {}, element("figcaption", {}, title), target);

// Whether a linear axis hides most of the values: the largest is ten times the median, as a loss's first.
const isSteep = (values) => {
  const known = values.filter(Number.isFinite).sort((a, b) => a - b);
  return known.length > 2 && known[0] > 0 && known.at(-1) > Math.max(1, 10 * known[known.length >> 1]);
};

// The distinct settings of some keys, in natural order, each with its runs.
const grouped = (runs, keys) => {
  const groups = new Map();
  for (const run of runs) {
    const name = keys.map((key) => run.settings[key] ?? "").join(", ");
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(run);
  }
  const numeric = [...groups.keys()].every((name) => name !== "" && !Number.isNaN(Number(name)));
  return numeric ? new Map([...groups].sort((a, b) => a[0] - b[0])) : groups;
};

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
// Whether the runs' figures of a metric have several units: then they have no common axis and no mean.
const otherUnits = (study, metric) => Boolean(metric?.endsWith("/loss")) && study.units.length > 0;
const higherIsBetter = (metric) => data.directions[metric.split("/")[1]] === "higher";

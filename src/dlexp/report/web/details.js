// Confusion matrices and the difference of two, gradients over layers, and the details of one run.
const runName = (study, run) => study.varied.map((key) => `${key} ${run.settings[key] ?? "–"}`).join(", ") || run.place;

const bestRun = (study, runs) =>
  [...runs].sort(
    (a, b) =>
      (higherIsBetter(study.metrics[0]) ? -1 : 1) *
      ((a.figures[study.metrics[0]] ?? 0) - (b.figures[study.metrics[0]] ?? 0)),
  )[0];

// Of many classes, only those that are most often taken for others: a matrix would be too large to read.
const confusedSection = (study, state) => {
  const known = study.runs.filter((run) => run.confused);
  if (!known.length) return null;
  const one = known.find((run) => run.path === (state.one || state.run)) ?? bestRun(study, known);
  const options = known.map((run) => [run.path, `${runName(study, run)} (${run.place})`]);
  return element(
    "section",
    { id: "confused" },
    element("h3", {}, "Most confused classes, test split"),
    element("div", { class: "controls" }, select("Run", options, one.path, choose(state, "one"))),
    element("div", { class: "scroll" }, tableOf(["true class", "taken for", "samples"], one.confused, 2)),
  );
};

const confusionSection = (study, state, runs) => {
  const known = study.runs.filter((run) => run.confusion);
  if (!known.length) return null;
  const best = bestRun(study, known);
  const one = known.find((run) => run.path === state.one) ?? known.find((run) => run.path === state.run) ?? best;
  const comparable = (run) => run !== one && run.confusion.names.join("\n") === one.confusion.names.join("\n");
  const other = known.find((run) => run.path === state.other && comparable(run));
  const { names, counts } = one.confusion;
  const shares = (matrix) =>
    matrix.map((row) => {
      const total = row.reduce((a, b) => a + b, 0);
      return row.map((value) => value / Math.max(1, total));
    });
  const mode = other ? "difference" : state.matrix;
  const z =
    mode === "difference"
      ? shares(counts).map((row, i) => row.map((value, j) => value - shares(other.confusion.counts)[i][j]))
      : mode === "counts"
        ? counts
        : shares(counts);
  const [height, width] = [Math.max(360, 130 + 34 * names.length), Math.max(480, 200 + 62 * names.length)];
  const target = element("div", {
    class: "plot",
    "data-plot": "confusion",
    style: `height:${height}px;max-width:${width}px`,
  });
  const limit = Math.max(0.01, ...z.flat().map(Math.abs));
  const format = (value) =>
    mode === "counts"
      ? String(value)
      : mode === "shares"
        ? number(value, 2)
        : Math.abs(value) < 0.005
          ? ""
          : (value > 0 ? "+" : "−") + Math.abs(value).toFixed(2);
  const ticks = names.map((_, i) => i);
  later(() =>
    plot(
      target,
      [
        {
          type: "heatmap",
          z,
          x: ticks,
          y: ticks,
          xgap: 1,
          ygap: 1,
          text: z.map((row) => row.map(format)),
          texttemplate: "%{text}",
          ...(mode === "difference"
            ? {
                zmin: -limit,
                zmax: limit,
                colorscale: [
                  [0, "#D55E00"],
                  [0.5, "#ffffff"],
                  [1, "#0072B2"],
                ],
              }
            : {
                colorscale: [
                  [0, "#ffffff"],
                  [1, "#08519c"],
                ],
                zmin: 0,
              }),
          customdata: counts.map((row, i) => row.map((value, j) => [escaped(names[i]), escaped(names[j]), value])),
          hovertemplate:
            "true %{customdata[0]}<br>predicted %{customdata[1]}<br>%{text} (%{customdata[2]} samples)<extra></extra>",
          colorbar: { thickness: 12 },
        },
      ],
      {
        xaxis: { tickvals: ticks, ticktext: names.map(escaped), title: { text: "predicted class" }, showgrid: false },
        yaxis: {
          tickvals: ticks,
          ticktext: names.map(escaped),
          title: { text: "true class" },
          autorange: "reversed",
          showgrid: false,
        },
      },
    ),
  );
  const options = known.map((run) => [run.path, `${runName(study, run)} (${run.place})`]);
  return element(
    "section",
    { id: "confusion" },
    element("h3", {}, "Confusion matrix, test split"),
    element(
      "div",
      { class: "controls" },
      select("Run", options, one.path, choose(state, "one")),
      known.length > 1 &&
        select(
          "minus",
          [["", "nothing"], ...options.filter(([path]) => comparable(known.find((run) => run.path === path)))],
          other?.path ?? "",
          choose(state, "other"),
        ),
      !other &&
        select(
          "as",
          [
            ["shares", "shares of the true class"],
            ["counts", "counts"],
          ],
          state.matrix,
          choose(state, "matrix"),
        ),
    ),
    target,
    other &&
      element(
        "p",
        { class: "soft" },
        "Shares of the first run minus those of the second: blue on the diagonal marks classes that the first predicts better.",
      ),
  );
};

// The varied key with most values gives the lines; each combination of the other varied keys gives a panel.
const gradientSection = (study, state, runs) => {
  const known = runs.filter((run) => run.gradients?.length);
  if (!known.length) return null;
  const keys = study.varied.filter((key) => key !== "seed");
  const count = (key) => new Set(known.map((run) => run.settings[key])).size;
  const [lines, ...outer] = [...keys].sort((a, b) => count(b) - count(a));
  const names = [...grouped(known, lines ? [lines] : []).keys()];
  const deepest = Math.max(...known.map((run) => run.gradients.length));
  const panels = [...grouped(known, outer).values()].map((those) => {
    const title = outer.map((key) => `${key} ${those[0].settings[key] ?? "–"}`).join(", ");
    const target = element("div", { class: "plot low", "data-plot": "gradients" });
    const traces = [...grouped(those, lines ? [lines] : [])].map(([name, same]) => {
      const { colour, symbol, dash } = look(names.indexOf(name));
      const norms = (i) =>
        same.map((run) => run.gradients[i]?.[state.norm === "l1" ? 1 : 2]).filter((value) => value !== undefined);
      return {
        x: same[0].gradients.map(([layer]) => layer),
        y: same[0].gradients.map((_, i) => mean(norms(i)) || null),
        name: escaped(name || "run"),
        mode: "lines+markers",
        line: { color: colour, dash, width: 1.8 },
        marker: { symbol, size: 6 },
        hovertemplate: `${escaped(name)}<br>layer %{x}: %{y:.3g}<extra></extra>`,
      };
    });
    later(() =>
      plot(target, traces, {
        xaxis: { title: { text: "layer, from the input" }, range: [0.5, deepest + 0.5] },
        yaxis: { type: "log", exponentformat: "power", title: { text: `${state.norm.toUpperCase()} norm` } },
      }),
    );
    return titled(title, target);
  });
  return element(
    "section",
    { id: "gradients" },
    element("h3", {}, "Norms of the weight gradients over the layers, after the last epoch"),
    element(
      "div",
      { class: "controls" },
      select(
        "Norm",
        [
          ["l1", "L1"],
          ["l2", "L2"],
        ],
        state.norm,
        choose(state, "norm"),
      ),
    ),
    element("div", { class: "plots" }, panels),
    element(
      "p",
      { class: "soft" },
      "Means over the seeds of a setting. A logarithmic axis has no 0: a line has a gap at a gradient of exactly 0.",
    ),
  );
};

const wrongImages = (run) => {
  const { image, targets, taken_for, sure } = run.wrong;
  const sheet = `background-image:url("data:image/png;base64,${image}");background-size:${72 * targets.length}px 72px`;
  return element(
    "div",
    { class: "wrong" },
    targets.map((target, i) =>
      element(
        "figure",
        {},
        element("div", { style: `${sheet};background-position:-${72 * i}px 0` }),
        element("figcaption", {}, `${target}, taken for ${taken_for[i]} (${number(sure[i], 2)})`),
      ),
    ),
  );
};

const demonstrated = (run, rows) => [
  (run.findings ?? []).map((finding) => element("p", {}, finding)),
  run.figure && element("img", { alt: run.name, src: `data:image/png;base64,${run.figure}` }),
  Object.entries(run.tables ?? {}).map(([title, { columns, rows: cells }]) => [
    element("h4", {}, title),
    element(
      "div",
      { class: "wide" },
      tableOf(
        columns,
        cells.map((row) => row.map((cell) => (typeof cell === "number" ? String(number(cell)) : String(cell ?? "–")))),
        1,
      ),
    ),
  ]),
  element("h4", {}, "Statements"),
  rows(run.sides.map((side) => [side.statement, `largest difference ${number(side.difference)}`])),
];

const detailSection = (study, state) => {
  const run = study.runs.find((each) => each.path === state.run);
  if (!run) return null;
  const rows = (pairs) =>
    element(
      "div",
      { class: "wide" },
      element(
        "table",
        {},
        element(
          "tbody",
          {},
          pairs.map(([key, value]) =>
            element("tr", {}, element("td", { class: "soft" }, key), element("td", {}, String(value ?? "–"))),
          ),
        ),
      ),
    );
  return element(
    "section",
    { id: "details" },
    element("h3", {}, runName(study, run)),
    element(
      "p",
      {},
      element("span", { class: `status ${run.status}` }, run.status),
      " ",
      element("code", {}, run.path),
    ),
    run.error && element("pre", {}, run.error),
    element("h4", {}, "The command that repeats this run"),
    element("pre", {}, run.repeat),
    run.command && [
      element("p", { class: "soft" }, "The command as it was typed, or as its sweep started it:"),
      element("pre", {}, run.command),
    ],
    run.reported?.length
      ? [
          element("h4", {}, "Reported beside measured"),
          tableOf(
            ["", "reported", "measured"],
            run.reported.map(([key, ...values]) => [key, ...values.map((value) => String(number(value)))]),
            1,
          ),
        ]
      : null,
    run.sides && demonstrated(run, rows),
    run.wrong && [element("h4", {}, "Most confidently wrong"), wrongImages(run)],
    study.differing.length
      ? [
          element("h4", {}, "What differs from its siblings"),
          rows(study.differing.map((key) => [key, run.settings[key]])),
        ]
      : null,
    run.environment && [element("h4", {}, "Environment"), rows(Object.entries(run.environment))],
  );
};

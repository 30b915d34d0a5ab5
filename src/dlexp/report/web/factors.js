// The effect of a factor: each run's figure, the mean and its interval; and two factors as a heat map.
// An axis that shows all values, with a quarter of their range on either side.
const limits = (values) => {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const beyond = (high - low) / 4 || Math.abs(high) / 20 || 1;
  return [low - beyond, high + beyond];
};

const factorPlot = (study, state, runs, factor) => {
  const target = element("div", { class: "plot low", "data-plot": `factor-${factor}` });
  const metric = state.figure;
  const groups = [
    ...grouped(
      runs.filter((run) => typeof run.figures[metric] === "number"),
      [factor],
    ),
  ];
  const estimates = Object.fromEntries(
    study.findings[metric]?.effects.find((effect) => effect.factor === factor || effect.factor === `${factor}.name`)
      ?.settings ?? [],
  );
  const others = study.factors.filter((key) => key !== factor);
  const dots = grouped(
    runs.filter((run) => typeof run.figures[metric] === "number"),
    state.shade && others.includes(state.shade) ? [state.shade] : [],
  );
  const place = new Map(groups.map(([name], i) => [name, i]));
  const rank = new Map(
    groups.flatMap(([, those]) =>
      those.map((run, i) => [run.path, those.length > 1 ? (i / (those.length - 1) - 0.5) * 0.56 : 0]),
    ),
  );
  const traces = [...dots].map(([name, those], index) => {
    const { colour, symbol } = name ? look(index) : { colour: COLOURS[5], symbol: "circle" };
    return {
      type: "scatter",
      mode: "markers",
      name: escaped(name || "a run"),
      marker: { color: colour, symbol, size: 7, opacity: 0.65 },
      x: those.map((run) => place.get(run.settings[factor] ?? "") + rank.get(run.path)),
      y: those.map((run) => run.figures[metric]),
      text: those.map((run) => escaped(study.varied.map((key) => `${key} ${run.settings[key]}`).join(", "))),
      hovertemplate: `%{text}<br>${escaped(words(metric))} %{y:.4g}<extra></extra>`,
    };
  });
  const known = groups.filter(([name]) => estimates[name]);
  traces.push({
    type: "scatter",
    mode: "markers",
    name: "mean over seeds, 95 % interval",
    x: known.map(([name]) => place.get(name)),
    y: known.map(([name]) => estimates[name].mean),
    marker: { color: "#000", symbol: "line-ew-open", size: 26, line: { width: 2.5 } },
    error_y: {
      type: "data",
      symmetric: false,
      color: "#000",
      thickness: 1.6,
      width: 5,
      array: known.map(([name]) => (estimates[name].high ?? estimates[name].mean) - estimates[name].mean),
      arrayminus: known.map(([name]) => estimates[name].mean - (estimates[name].low ?? estimates[name].mean)),
    },
    text: known.map(([name]) => `${escaped(name)}: mean of ${estimates[name].count} seeds`),
    hovertemplate: "%{text} %{y:.4g}<extra></extra>",
  });
  const [low, high] = limits(groups.flatMap(([, those]) => those.map((run) => run.figures[metric])));
  const beyond = known.flatMap(([name]) => [
    ...(estimates[name].low < low && estimates[name].low !== null ? [[name, low, "triangle-down"]] : []),
    ...(estimates[name].high > high ? [[name, high, "triangle-up"]] : []),
  ]);
  traces.push({
    type: "scatter",
    mode: "markers",
    showlegend: false,
    cliponaxis: false,
    x: beyond.map(([name]) => place.get(name)),
    y: beyond.map(([, end]) => end),
    marker: { color: "#000", size: 9, symbol: beyond.map(([, , symbol]) => symbol) },
    hovertemplate: "the interval goes on<extra></extra>",
  });
  later(() =>
    plot(target, traces, {
      showlegend: dots.size > 1,
      xaxis: {
        tickvals: groups.map((_, i) => i),
        ticktext: groups.map(([name]) => escaped(name)),
        range: [-0.6, groups.length - 0.4],
        showgrid: false,
        zeroline: false,
      },
      yaxis: { title: { text: escaped(words(metric)) }, range: [low, high] },
    }),
  );
  return titled(factor, target);
};

const heatMap = (study, state, runs) => {
  if (study.factors.length < 2) return null;
  const [down, across] = state.heat;
  const target = element("div", { class: "plot low", "data-plot": "heat" });
  const known = runs.filter((run) => typeof run.figures[state.figure] === "number");
  const rows = [...grouped(known, [down]).keys()],
    columns = [...grouped(known, [across]).keys()];
  const cell = (row, column) =>
    known
      .filter((run) => (run.settings[down] ?? "") === row && (run.settings[across] ?? "") === column)
      .map((run) => run.figures[state.figure]);
  const cells = rows.map((row) => columns.map((column) => cell(row, column)));
  const z = cells.map((line) => line.map((values) => (values.length ? mean(values) : null)));
  const digits = decimalsOf(z.flat(), 3);
  const options = study.factors.map((factor) => [factor, factor]);
  const change = (i) => (factor) => {
    state.heat = i ? [down === factor ? across : down, factor] : [factor, across === factor ? down : across];
    render();
  };
  later(() =>
    plot(
      target,
      [
        {
          type: "heatmap",
          z,
          x: columns.map((_, i) => i),
          y: rows.map((_, i) => i),
          colorscale: "Cividis",
          xgap: 2,
          ygap: 2,
          reversescale: !higherIsBetter(state.figure),
          text: z.map((line) => line.map((value) => (value === null ? "" : number(value, digits)))),
          texttemplate: "%{text}",
          customdata: cells.map((line, i) =>
            line.map((values, j) => [escaped(rows[i]), escaped(columns[j]), values.length]),
          ),
          hovertemplate:
            "%{customdata[0]}<br>%{customdata[1]}<br>mean of %{customdata[2]} runs %{z:.4g}<extra></extra>",
          colorbar: { thickness: 12 },
        },
      ],
      {
        xaxis: {
          tickvals: columns.map((_, i) => i),
          ticktext: columns.map(escaped),
          showgrid: false,
          title: { text: escaped(across) },
        },
        yaxis: {
          tickvals: rows.map((_, i) => i),
          ticktext: rows.map(escaped),
          showgrid: false,
          autorange: "reversed",
          title: { text: escaped(down) },
        },
      },
    ),
  );
  return element(
    "div",
    {},
    element(
      "div",
      { class: "controls" },
      select("Rows", options, down, change(0)),
      select("Columns", options, across, change(1)),
    ),
    titled("both factors: the mean " + words(state.figure), target),
  );
};

const factorSection = (study, state, runs) => {
  if (!study.factors.length) return null;
  const shades = [["", "none"], ...study.factors.map((factor) => [factor, factor])];
  return element(
    "section",
    { id: "factors" },
    element("h3", {}, "Each factor"),
    element(
      "div",
      { class: "controls" },
      select(
        "Figure",
        study.metrics.map((metric) => [metric, words(metric)]),
        state.figure,
        choose(state, "figure"),
      ),
      study.factors.length > 1 && select("Colour by", shades, state.shade, choose(state, "shade")),
    ),
    !otherUnits(study, state.figure) &&
      element(
        "div",
        { class: "plots" },
        study.factors.map((factor) => factorPlot(study, state, runs, factor)),
        heatMap(study, state, runs),
      ),
    study.refusals[state.figure] && element("div", { class: "warning" }, study.refusals[state.figure]),
    element(
      "p",
      { class: "soft" },
      "A point is a run. Means and intervals are over seeds; each seed is averaged over the other factors. An interval that leaves the plot ends in an arrow.",
    ),
  );
};

// The reliability diagram: how often test's predictions are right, against how sure they are.
const reliabilitySection = (study, state) => {
  const known = study.runs.filter((run) => run.calibration);
  if (!known.length) return null;
  const best = bestRun(study, known);
  const one = known.find((run) => run.path === state.one) ?? known.find((run) => run.path === state.run) ?? best;
  const target = element("div", { class: "plot", "data-plot": "reliability", style: "height:420px;max-width:560px" });
  const hover = "confidence %{x:.3f}<br>accuracy %{y:.3f}<br>%{customdata} samples<extra></extra>";
  const kinds = Object.entries(one.calibration.curves);
  const total = (bins) => bins.reduce((sum, bin) => sum + bin[2], 0);
  const sizes = (bins) => bins.map((bin) => Math.max(5, 24 * Math.sqrt(bin[2] / total(bins))));
  later(() =>
    plot(
      target,
      [
        ...kinds.map(([kind, bins], i) => ({
          name: escaped(kind),
          mode: "lines+markers",
          x: bins.map((bin) => bin[3]),
          y: bins.map((bin) => bin[4]),
          customdata: bins.map((bin) => bin[2]),
          marker: { color: COLOURS[i], symbol: i ? "square" : "circle", size: sizes(bins), opacity: 0.8 },
          line: { color: COLOURS[i] },
          hovertemplate: hover,
        })),
        {
          mode: "lines",
          x: [0, 1],
          y: [0, 1],
          line: { color: "#888", width: 1 },
          hoverinfo: "skip",
          showlegend: false,
        },
      ],
      {
        xaxis: { title: { text: "confidence" }, range: [0, 1] },
        yaxis: { title: { text: "accuracy" }, range: [0, 1] },
      },
    ),
  );
  const options = known.map((run) => [run.path, `${runName(study, run)} (${run.place})`]);
  return element(
    "section",
    { id: "reliability" },
    element("h3", {}, "Calibration, test split"),
    element("div", { class: "controls" }, select("Run", options, one.path, choose(state, "one"))),
    target,
    element("p", { class: "soft" }, "The area of a marker is its share of the samples."),
    ...one.calibration.said.map((line) => element("p", {}, line)),
  );
};

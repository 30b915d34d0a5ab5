// A run's predicted values against the true ones, if it predicts values.
const valuesSection = (study, state, runs) => {
  const known = runs.filter((run) => Object.keys(run.values ?? {}).length);
  if (!known.length) return null;
  const run = known.find((each) => each.path === state.run) ?? known[0];
  const panels = Object.entries(run.values).map(([name, [targets, guesses]]) => {
    const target = element("div", { class: "plot", "data-plot": `values-${name}` });
    const ends = [Math.min(...targets, ...guesses), Math.max(...targets, ...guesses)];
    const look = { mode: "markers", marker: { color: COLOURS[0], size: 6, opacity: 0.6 } };
    later(() =>
      plot(
        target,
        [
          { ...look, x: targets, y: guesses, hovertemplate: "true %{x:.4g}<br>predicted %{y:.4g}<extra></extra>" },
          { x: ends, y: ends, mode: "lines", line: { color: "#000", width: 1 }, hoverinfo: "skip" },
        ],
        {
          showlegend: false,
          xaxis: { title: { text: escaped(`true ${name}`) } },
          yaxis: { title: { text: escaped(`predicted ${name}`) } },
        },
      ),
    );
    return titled(name, target);
  });
  return element(
    "section",
    { id: "values" },
    element("h3", {}, "Predicted against true values, test split"),
    element("p", { class: "soft" }, runName(study, run), ". On the line both are equal."),
    element("div", { class: "plots" }, panels),
  );
};

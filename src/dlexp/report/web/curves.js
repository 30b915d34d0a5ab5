// Learning curves: one for each run, or the mean over a setting's seeds with a band from minimum to maximum.
const interpolated = (xs, ys, x) => {
  let high = xs.findIndex((value) => value >= x);
  if (high < 0 || x < xs[0]) return null;
  if (xs[high] === x || high === 0) return ys[high];
  const share = (x - xs[high - 1]) / (xs[high] - xs[high - 1]);
  return ys[high - 1] === null || ys[high] === null ? null : ys[high - 1] + share * (ys[high] - ys[high - 1]);
};

const band = (runs, table, column, axis) => {
  const curves = runs.map((run) => run[table]).filter((curve) => curve?.[column]?.length);
  const base = table === "curves" ? "epoch" : "step";
  const places = [...new Set(curves.flatMap((curve) => curve[base]))].sort((a, b) => a - b);
  const points = [];
  for (const place of places) {
    const found = curves
      .map((curve) => interpolated(curve[base], curve[column], place))
      .filter((value) => value !== null);
    const where =
      axis === base
        ? place
        : mean(curves.map((curve) => interpolated(curve[base], curve[axis], place)).filter((value) => value !== null));
    if (found.length)
      points.push({ x: where, mean: mean(found), low: Math.min(...found), high: Math.max(...found), n: found.length });
  }
  return points;
};

// Markers at the best and the last epoch of a run with validation, on its curve of one split.
const markTraces = (run, state, column, common, showlegend) => {
  const curve = run.curves;
  if (state.table !== "curves" || !curve?.[column]?.length) return [];
  const at = (epoch, key) => interpolated(curve.epoch, curve[key], epoch);
  return Object.entries(run.marks ?? {}).map(([what, epoch]) => ({
    x: [at(epoch, state.axis)],
    y: [at(epoch, column)],
    mode: "markers",
    marker: {
      symbol: what === "best" ? "star" : "x-thin-open",
      size: 12,
      color: common.line.color,
      line: { width: 2 },
    },
    name: `${common.name === "run" ? "" : `${common.name}, `}${what}: epoch ${epoch}`,
    legendgroup: common.legendgroup,
    showlegend,
    hovertemplate: `${what}: epoch ${epoch}<br>${escaped(words(column))} %{y:.4g}<extra></extra>`,
  }));
};

const curveTraces = (groups, state, metric) => {
  const traces = [];
  let index = 0;
  for (const [name, runs] of groups) {
    const { colour, symbol, dash } = look(index++);
    for (const split of ["train", "validation", "test"]) {
      const column = metric === "lr" ? "lr" : `${split}/${metric}`;
      if (metric === "lr" ? split !== "test" : !state.splits[split]) continue;
      const only = ["test", "validation", "train"].find((each) => state.splits[each]);
      const main = metric === "lr" || split === only;
      const line = { color: colour, width: main ? 2 : 1.3, dash: main ? dash : split === "train" ? "dot" : "dash" };
      const marker = { symbol, size: 7, color: colour, maxdisplayed: 8 };
      const common = {
        legendgroup: name,
        name: escaped(name || "run"),
        line,
        marker,
        mode: main ? "lines+markers" : "lines",
      };
      const at = `${escaped(state.axis)} %{x:.4g}`;
      const range = "%{customdata[0]:.4g} to %{customdata[1]:.4g}, n = %{customdata[2]}";
      const named = `${escaped(name)}${name ? "<br>" : ""}${escaped(words(column))}`;
      if (state.each) {
        runs.forEach((run, i) => {
          const curve = run[state.table];
          if (!curve?.[column]?.length) return;
          traces.push({
            ...common,
            x: curve[state.axis],
            y: curve[column],
            showlegend: main && i === 0,
            opacity: 0.8,
            hovertemplate: `${named} %{y:.4g}<br>${at}<br>${escaped(run.place)}<extra></extra>`,
          });
          traces.push(...markTraces(run, state, column, common, main && runs.length === 1));
        });
        continue;
      }
      const points = band(runs, state.table, column, state.axis);
      if (!points.length) continue;
      const x = points.map((point) => point.x);
      if (main && points.some((point) => point.n > 1)) {
        traces.push({
          x: [...x, ...x.slice().reverse()],
          y: [...points.map((p) => p.high), ...points.map((p) => p.low).reverse()],
          fill: "toself",
          fillcolor: colour + "2b",
          line: { width: 0 },
          mode: "lines",
          hoverinfo: "skip",
          showlegend: false,
          legendgroup: name,
        });
      }
      traces.push({
        ...common,
        x,
        y: points.map((point) => point.mean),
        showlegend: main,
        customdata: points.map((p) => [p.low, p.high, p.n]),
        hovertemplate: `${named} %{y:.4g}<br>${range}<br>${at}<extra></extra>`,
      });
      if (runs.length === 1) traces.push(...markTraces(runs[0], state, column, common, main));
    }
  }
  return traces;
};

const curveSection = (study, state, runs) => {
  const shown = runs.filter((run) => Object.keys(run.curves ?? {}).length);
  if (!shown.length) return null;
  const tables = [
    ["curves", "epochs"],
    ["steps", "steps"],
    ["evaluations", "evaluations"],
  ].filter(([table]) => shown.some((run) => Object.keys(run[table] ?? {}).length));
  const columns = [...new Set(shown.flatMap((run) => Object.keys(run[state.table] ?? {})))];
  const metrics = [
    ...new Set(columns.filter((c) => c.includes("/")).map((c) => c.split("/")[1])),
    ...(columns.includes("lr") ? ["lr"] : []),
  ];
  if (!["both", ...metrics].includes(state.metric)) state.metric = "both";
  const chosen = state.metric === "both" ? metrics.filter((metric) => metric !== "lr").slice(0, 2) : [state.metric];
  const axes = state.table === "curves" ? ["epoch", "step", "seconds"] : ["step"];
  if (!axes.includes(state.axis)) state.axis = axes[0];
  const keys = state.by === "*" ? study.varied.filter((key) => key !== "seed") : state.by ? [state.by] : [];
  const drawn = chosen.map((metric) => {
    const groups = grouped(shown, metric === "loss" ? [...new Set([...keys, ...study.units])] : keys);
    const traces = curveTraces(groups, state, metric);
    return { metric, traces, log: state.log ?? isSteep(traces.flatMap((trace) => trace.y)) };
  });
  const again = (changes) => {
    Object.assign(state, changes);
    render();
  };
  const controls = element(
    "div",
    { class: "controls" },
    select(
      "Metric",
      [["both", "loss and first metric"], ...metrics.map((metric) => [metric, words(metric)])],
      state.metric,
      (metric) => again({ metric }),
    ),
    select(
      "Colour by",
      [["", "nothing"], ...study.varied.map((key) => [key, key]), ["*", "every setting"]],
      state.by,
      (by) => again({ by }),
    ),
    select(
      "Against",
      axes.map((axis) => [axis, axis]),
      state.axis,
      (axis) => again({ axis }),
    ),
    tables.length > 1 &&
      select("Of", tables, state.table, (table) => again({ table, axis: table === "curves" ? "epoch" : "step" })),
    check(
      "log scale",
      drawn.some(({ log }) => log),
      (log) => again({ log }),
    ),
    check("each run", state.each, (each) => again({ each })),
    ["train", "validation", "test"]
      .filter((split) => columns.some((c) => c.startsWith(split + "/")))
      .map((split) => check(split, state.splits[split], (on) => again({ splits: { ...state.splits, [split]: on } }))),
  );
  const most = Math.max(...shown.map((run) => run.curves.epoch?.at(-1) ?? 0));
  const panels = drawn.map(({ metric, traces, log }) => {
    const target = element("div", { class: "plot", "data-plot": `curve-${metric}` });
    later(() =>
      plot(target, traces, {
        hovermode: "closest",
        xaxis: { title: { text: escaped(state.axis) }, dtick: state.axis === "epoch" && most <= 10 ? 1 : undefined },
        yaxis: { type: log ? "log" : "linear" },
      }),
    );
    return titled(words(metric), target);
  });
  const caption = state.each
    ? "Each line is a run."
    : "Lines are means over the runs of a setting; bands reach from the lowest to the highest.";
  return element(
    "section",
    { id: "curves" },
    element("h3", {}, "Learning curves"),
    controls,
    element("div", { class: "plots" }, panels),
    element(
      "p",
      { class: "soft" },
      `${caption} Test is drawn solid, train dotted. A click in the legend hides a setting, a double click all others.`,
    ),
  );
};

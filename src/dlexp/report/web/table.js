// The table of runs: sort it by a column, filter it by the varied keys, click a run to open it, tick runs to draw.
const columnsOf = (study) => {
  const metrics = [
    ...new Set(study.runs.flatMap((run) => Object.keys(run.curves ?? run.figures)).filter((key) => key.includes("/"))),
  ];
  const rank = (key) => (key.startsWith("test") ? 0 : key.startsWith("validation") ? 1 : 2);
  metrics.sort((a, b) => a.endsWith("/loss") - b.endsWith("/loss") || rank(a) - rank(b));
  const better = study.metrics[0];
  return [
    { name: "status", value: (run) => run.status },
    { name: "run", value: (run) => run.place },
    ...study.columns.map((key) => ({ name: key, value: (run) => run.settings[key] ?? "", setting: true })),
    ...metrics.map((key) => ({ name: words(key), value: (run) => run.figures[key], number: true })),
    study.runs.some((run) => run.selected) && {
      name: "chosen epoch",
      value: (run) => run.selected?.epoch,
      number: true,
    },
    study.runs.some((run) => run.selected) &&
      better && { name: `${words(better)} at the chosen epoch`, value: (run) => run.selected?.[better], number: true },
    { name: "epochs trained", value: (run) => run.figures.epochs ?? run.epoch, number: true },
    { name: "time", value: (run) => run.figures.training_seconds, number: true, shown: duration },
    { name: "parameters", value: (run) => run.figures.parameters, number: true },
  ].filter(Boolean);
};

const compared = (a, b) => {
  const empty = (value) => value === undefined || value === null || value === "";
  if (empty(a) || empty(b)) return empty(a) - empty(b);
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? String(a).localeCompare(String(b)) : x - y;
};

const filtered = (study, state) =>
  study.runs.filter(
    (run) =>
      Object.entries(state.filters).every(
        ([key, value]) => value === "" || (key === "status" ? run.status : (run.settings[key] ?? "")) === value,
      ) &&
      [run.path, run.status, ...Object.values(run.settings)]
        .join(" ")
        .toLowerCase()
        .includes(state.search.toLowerCase()),
  );

const tableSection = (study, state, runs) => {
  const columns = columnsOf(study);
  const sorted = [...runs].sort((a, b) => {
    const column = columns.find((each) => each.name === state.sort.name) ?? columns[1];
    const order = compared(column.value(a), column.value(b));
    const missing = [a, b].some((run) => [undefined, null, ""].includes(column.value(run)));
    return state.sort.down && !missing ? -order : order;
  });
  const filters = [
    ["status", (run) => run.status],
    ...study.columns.map((key) => [key, (run) => run.settings[key] ?? ""]),
  ].map(([key, value]) => {
    const values = [...new Set(study.runs.map(value))].filter((each) => each !== "").sort(compared);
    return (
      values.length > 1 &&
      select(key, [["", "all"], ...values.map((each) => [each, each])], state.filters[key] ?? "", (chosen) => {
        state.filters[key] = chosen;
        render();
      })
    );
  });
  const sort = (column) => {
    state.sort = {
      name: column.name,
      down: state.sort.name === column.name ? !state.sort.down : Boolean(column.number),
    };
    render();
  };
  const head = element(
    "tr",
    {},
    !study.overview && element("th", {}, ""),
    columns.map((column) =>
      element(
        "th",
        {
          class: column.number ? "number" : "",
          "aria-sort": state.sort.name === column.name ? (state.sort.down ? "descending" : "ascending") : undefined,
        },
        element("button", { onclick: () => sort(column), "aria-label": `sort by ${column.name}` }, column.name),
      ),
    ),
  );
  const digits = new Map(columns.map((column) => [column, column.number && decimalsOf(study.runs.map(column.value))]));
  const body = sorted.map((run) => {
    const tick = element("input", {
      type: "checkbox",
      checked: !state.hidden.has(run.path),
      "aria-label": `draw ${run.place}`,
      onclick: (event) => event.stopPropagation(),
      onchange: (event) => {
        state.hidden[event.target.checked ? "delete" : "add"](run.path);
        render();
      },
    });
    return element(
      "tr",
      {
        tabindex: 0,
        class: state.run === run.path ? "chosen" : "",
        "data-run": run.path,
        onclick: () => {
          state.run = run.path;
          render("details");
        },
        onkeydown: (event) => {
          if (event.key === "Enter") {
            state.run = run.path;
            render("details");
          }
        },
      },
      !study.overview && element("td", {}, tick),
      columns.map((column) => {
        const value = column.value(run);
        const shown =
          column.name === "status"
            ? element("span", { class: `status ${run.status}` }, run.status)
            : column.shown
              ? column.shown(value)
              : column.number
                ? String(number(value, digits.get(column)))
                : String(value ?? "");
        return element("td", { class: column.number ? "number" : "" }, shown);
      }),
    );
  });
  const all = (on) => () => {
    runs.forEach((run) => state.hidden[on ? "delete" : "add"](run.path));
    render();
  };
  return element(
    "section",
    { id: "runs" },
    element(
      "h3",
      {},
      runs.length === study.runs.length
        ? `${runs.length} run${runs.length === 1 ? "" : "s"}`
        : `${runs.length} of ${study.runs.length} runs`,
    ),
    element(
      "div",
      { class: "controls" },
      filters,
      element(
        "label",
        {},
        "Search",
        element("input", {
          type: "search",
          value: state.search,
          id: "search",
          oninput: (event) => {
            state.search = event.target.value;
            render();
          },
          "aria-label": "Search",
        }),
      ),
      !study.overview && [
        element("button", { class: "plain", onclick: all(true) }, "draw all"),
        element("button", { class: "plain", onclick: all(false) }, "draw none"),
      ],
    ),
    element("div", { class: "scroll" }, element("table", {}, element("thead", {}, head), element("tbody", {}, body))),
    element(
      "p",
      { class: "soft" },
      study.overview
        ? "A click on a run opens it below."
        : "Filters and ticks choose the runs in the plots. A click on a run opens it below.",
    ),
  );
};

// The first view of a report of several studies: a line for each study, and a table of all runs.
const EVERYTHING = {
  overview: true,
  name: "All runs",
  factors: [],
  by_strength: [],
  findings: {},
  differing: [],
  metrics: [],
  units: [],
  refusals: {},
};

const everything = () => {
  const runs = data.studies.flatMap((study) =>
    study.runs.map((run) => ({ ...run, settings: { ...run.settings, study: study.name } })),
  );
  const columns = ["study", ...data.columns].slice(0, 12);
  return { ...EVERYTHING, columns, varied: columns, differing: columns, runs };
};

const bestOf = (study) => {
  const metric = study.metrics[0];
  const finding = study.findings[metric];
  if (finding) {
    const [effect] = finding.effects;
    const [name, estimate] = finding.combinations[0] ?? effect.settings[0];
    const shown = finding.combinations.length ? name : `${effect.factor.replace(/\.name$/, "")}=${name}`;
    return [words(metric), shown, plusMinus(estimate)];
  }
  const values = study.runs.map((run) => run.figures[metric]).filter((value) => typeof value === "number");
  if (!values.length || otherUnits(study, metric)) return ["", "", ""];
  const spread = values.length > 1 ? `${number(mean(values))} over ${values.length} runs` : number(values[0]);
  return [words(metric), "", spread];
};

const studiesSection = () => {
  const joined = data.studies.filter((study) => !study.single);
  if (!joined.length) return null;
  return element(
    "section",
    { id: "overview" },
    element("h3", {}, joined.length === 1 ? "1 study" : `${joined.length} studies`),
    element(
      "div",
      { class: "wide" },
      element(
        "table",
        {},
        element(
          "thead",
          {},
          element(
            "tr",
            {},
            ["study", "runs", "", "best setting", "mean ± std over seeds"].map((text) => element("th", {}, text)),
          ),
        ),
        element(
          "tbody",
          {},
          joined.map((study) => {
            const [metric, name, value] = bestOf(study);
            const open = () => {
              location.hash = encodeURIComponent(study.name);
            };
            const cells = [study.name, String(study.runs.length), metric, name, value];
            return element(
              "tr",
              {
                tabindex: 0,
                onclick: open,
                onkeydown: (event) => {
                  if (event.key === "Enter") open();
                },
              },
              cells.map((cell) => element("td", {}, cell)),
            );
          }),
        ),
      ),
    ),
  );
};

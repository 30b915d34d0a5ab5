// The page shows one study, chosen on the left; every control changes the state and draws the study again.
let data = JSON.parse(document.getElementById("data").textContent);
const states = new Map();
let waiting = [];
const later = (draw) => waiting.push(draw);

const initial = (study) => ({
  figure: study.metrics[0] ?? "",
  shade: "",
  heat: study.by_strength.slice(0, 2),
  filters: {},
  search: "",
  hidden: new Set(),
  sort: { name: "run", down: false },
  metric: "both",
  by: study.by_strength[0] ?? "",
  axis: "epoch",
  table: "curves",
  log: null, // until it is chosen, an axis is logarithmic if a linear one would hide most of the values
  each: false,
  splits: { train: true, validation: false, test: true },
  run: study.runs.length === 1 ? study.runs[0].path : "",
  one: "",
  other: "",
  matrix: "shares",
  norm: "l2",
});

const address = () => {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  } // a lone % cannot be decoded
};

// The study that the address names; without a name, the overview if there are several studies.
const current = () =>
  data.studies.find((study) => study.name === address()) ?? (data.studies.length > 1 ? everything() : data.studies[0]);

// A choice stays while the study has it: a live page may open before any run has a figure.
const stateOf = (study) => {
  const key = study.overview ? EVERYTHING : study.name;
  const known = JSON.stringify([study.metrics, study.factors]);
  const state = states.get(key) ?? initial(study);
  if (state.known !== known) {
    const { figure, shade, heat, by } = initial(study);
    Object.assign(state, { shade, heat, by, known }, study.metrics.includes(state.figure) ? {} : { figure });
  }
  return states.set(key, state).get(key);
};

const reportedSection = (study) => {
  const rows = study.runs.flatMap((run) =>
    (run.reported ?? []).map(([key, reported, measured]) => [runName(study, run), key, reported, measured]),
  );
  if (!rows.length || study.runs.length < 2) return null;
  return element(
    "section",
    { id: "reported" },
    element("h3", {}, "Reported beside measured"),
    element(
      "div",
      { class: "scroll" },
      tableOf(
        ["run", "figure", "reported", "measured"],
        rows.map(([run, key, ...values]) => [run, words(key), ...values.map((value) => String(number(value)))]),
        2,
      ),
    ),
  );
};

const contents = () => {
  const counts = {};
  for (const run of data.studies.flatMap((study) => study.runs)) counts[run.status] = (counts[run.status] ?? 0) + 1;
  const told = Object.entries(counts)
    .map(([status, count]) => `${count} ${status}`)
    .join(", ");
  document.getElementById("summary").textContent =
    `${told || "No runs here"}. ${data.live ? "Following; last read" : "Made"} ${data.generated}.`;
  const list = document.getElementById("studies");
  const shown = list.querySelector("input")?.value ?? "";
  const chosen = current();
  const all =
    data.studies.length > 1 ? [{ ...EVERYTHING, hash: "", runs: data.studies.flatMap((study) => study.runs) }] : [];
  const button = (study) =>
    element(
      "button",
      {
        "aria-current": String(study.name === chosen.name && Boolean(study.overview) === Boolean(chosen.overview)),
        onclick: () => {
          location.hash = study.hash ?? encodeURIComponent(study.name);
        },
      },
      study.name,
      element("span", {}, String(study.runs.length)),
    );
  const found = [...all, ...data.studies].filter((study) => study.name.toLowerCase().includes(shown.toLowerCase()));
  const buttons = found.filter((study) => !study.single).map(button);
  const single = found.filter((study) => study.single).map(button);
  if (single.length) buttons.push(element("h3", {}, "Single runs"), ...single);
  list.querySelectorAll("button, h3").forEach((old) => old.remove());
  if (data.studies.length > 8 && !list.querySelector("input"))
    list.append(
      element("input", {
        type: "search",
        placeholder: "find a study",
        "aria-label": "find a study",
        oninput: contents,
      }),
    );
  list.append(...buttons);
};

// Every element is made again, so find the control that had the focus by its section and its name.
const remembered = () => {
  const active = document.activeElement,
    section = active?.closest?.("section")?.id;
  if (!section) return () => {};
  const name = active.getAttribute("aria-label"),
    run = active.dataset.run,
    end = active.selectionEnd;
  return () => {
    const again = [...document.querySelectorAll(`#${section} [aria-label], #${section} [data-run]`)].find((each) =>
      run ? each.dataset.run === run : name && each.getAttribute("aria-label") === name,
    );
    again?.focus({ preventScroll: true });
    if (again?.type === "search") again.setSelectionRange(end, end);
  };
};

// Draws the chosen study; `focus` names the section that the reader looks at, which keeps its place.
const render = (focus) => {
  const study = current();
  contents();
  const place = document.getElementById("study"),
    scrolls = [...place.querySelectorAll(".scroll")].map((each) => each.scrollTop),
    top = window.scrollY;
  place.querySelectorAll("[data-plot]").forEach((each) => Plotly.purge(each));
  if (!study) {
    place.replaceChildren(element("p", {}, "There are no runs yet. dlexp train makes one."));
    return;
  }
  const restore = remembered();
  const state = stateOf(study),
    runs = filtered(study, state),
    drawn = runs.filter((run) => !state.hidden.has(run.path));
  waiting = [];
  const sections = study.overview
    ? [studiesSection(), tableSection(study, state, runs), detailSection(study, state)]
    : [
        factorSection(study, state, drawn),
        curveSection(study, state, drawn),
        findingsSection(study, state),
        reportedSection(study),
        tableSection(study, state, runs),
        detailSection(study, state),
        confusionSection(study, state, drawn),
        confusedSection(study, state),
        reliabilitySection(study, state),
        valuesSection(study, state, drawn),
        gradientSection(study, state, drawn),
        study.boundary &&
          element(
            "section",
            { id: "boundary" },
            element("h3", {}, "Decision boundaries"),
            element("img", { src: `data:image/png;base64,${study.boundary}`, alt: "decision boundaries of the runs" }),
          ),
      ];
  place.replaceChildren(element("h2", {}, study.name), cards(study, state) ?? "", ...sections.filter(Boolean));
  waiting.forEach((draw) => draw());
  place.querySelectorAll(".scroll").forEach((each, i) => {
    each.scrollTop = scrolls[i] ?? 0;
  });
  window.scrollTo(0, top);
  restore();
  if (focus === "details") document.getElementById("details")?.scrollIntoView({ block: "nearest" });
};

window.addEventListener("hashchange", () => {
  window.scrollTo(0, 0);
  render();
});
render();

// A live page loads live.js, the file beside it, every two seconds: this needs no server and works from disk.
window.update = (newer) => {
  if (newer.generated === data.generated && newer.live === data.live) return;
  data = newer;
  render();
};
const follow = () => {
  if (!data.live) return;
  const again = (script) => {
    script.remove();
    setTimeout(follow, 2000);
  };
  const script = element("script", {
    src: `live.js?${Date.now()}`,
    onload: () => again(script),
    onerror: () => again(script),
  });
  document.head.append(script);
};
follow();

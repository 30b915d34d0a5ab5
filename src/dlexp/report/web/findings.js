// The conclusions of `compare`: first a card with the best setting of each factor, then the sentences.
const plusMinus = ({ deviation, shown }) => (deviation === null ? shown[1] : `${shown[1]} ± ${shown[2]}`);

const cards = (study, state) => {
  const finding = study.findings[state.figure];
  if (!finding) return null;
  const made = finding.effects.map((effect) => {
    const [[best, estimate], second] = effect.settings;
    const rival = (d) => (d.one === best ? d.other : d.one);
    const about = effect.differences.filter((d) => d.one === best || d.other === best);
    const claims = about.filter(
      (d) => d.claimed && (d.mean > 0 === higherIsBetter(state.figure) ? d.one : d.other) === best,
    );
    const lost = about.filter((d) => d.claimed && !claims.includes(d)).map(rival);
    const open = about.filter((d) => !d.claimed).map(rival);
    const gap = second && Math.abs(estimate.mean - second[1].mean);
    const better = claims.length ? `, better than ${claims.map(rival).join(", ")}` : "";
    const untold = open.length ? `; not told apart from ${open.join(", ")}` : "";
    const worse = lost.length ? `; but ${lost.join(", ")} is better over the seeds that both have` : "";
    const told =
      claims.length === effect.settings.length - 1
        ? `better than every other; next ${second[0]}, by ${number(gap)}`
        : effect.differences.every((d) => d.p_value === null)
          ? `ahead of ${second[0]} by ${number(gap)}; too few seeds for a conclusion`
          : `highest${better}${untold}${worse}`;
    const text = higherIsBetter(state.figure) ? told : told.replace("highest", "lowest");
    return element(
      "div",
      { class: `card${claims.length ? "" : " open"}` },
      element("span", { class: "soft" }, effect.factor.replace(/\.name$/, "")),
      element("b", {}, best),
      element("div", {}, `${words(state.figure)} ${plusMinus(estimate)}`),
      element("div", { class: "soft" }, text),
      effect.confounders.length > 0 &&
        element(
          "div",
          { class: "warning" },
          `Not controlled: ${effect.confounders.map((each) => each.split(":")[0]).join(", ")} differs too`,
        ),
    );
  });
  const combined = finding.combinations;
  if (combined.length > 1) {
    const [best, estimate] = combined[0];
    made.unshift(
      element(
        "div",
        { class: "card" },
        element("span", { class: "soft" }, "best combination"),
        element("b", {}, best),
        element("div", {}, `${words(state.figure)} ${plusMinus(estimate)}`),
        element(
          "div",
          { class: "soft" },
          `of ${combined.length}; n = ${estimate.count}; next ${combined[1][0]}, ${combined[1][1].shown[1]}`,
        ),
      ),
    );
  }
  return element("div", { class: "cards" }, made);
};

// If there are many sentences, those about the best setting come first, and the others are folded.
const sentences = (effect) => {
  const best = effect.settings[0][0];
  const list = (chosen) =>
    element(
      "ul",
      {},
      chosen.map((i) => element("li", {}, effect.sentences[i])),
    );
  const all = effect.differences.map((_, i) => i);
  if (all.length <= 3) return list(all);
  const about = all.filter((i) => [effect.differences[i].one, effect.differences[i].other].includes(best));
  const others = all.filter((i) => !about.includes(i));
  return [list(about), element("details", {}, element("summary", {}, `${others.length} more pairs`), list(others))];
};

const findingsSection = (study, state) => {
  const finding = study.findings[state.figure];
  if (!finding) return null;
  const estimates = (settings, title) => {
    const rows = settings.map(([name, estimate]) => [name, ...estimate.shown]);
    return element("div", { class: "wide" }, tableOf([title, "n", "mean", "std", "95 % interval"], rows, 1));
  };
  const combinations = finding.combinations.length > 1;
  return element(
    "section",
    { id: "findings" },
    element("h3", {}, `Conclusions that the data support (${words(state.figure)})`),
    finding.effects.map((effect) => [
      element("h4", {}, effect.factor.replace(/\.name$/, "")),
      estimates(effect.settings, combinations ? "averaged over the other factors" : "setting"),
      effect.confounders.length
        ? element(
            "div",
            { class: "warning" },
            `Not controlled: more than ${effect.factor} differs between the groups.`,
            element(
              "ul",
              {},
              effect.confounders.map((text) => element("li", {}, text)),
            ),
          )
        : null,
      sentences(effect),
    ]),
    combinations &&
      element(
        "details",
        {},
        element("summary", {}, `All ${finding.combinations.length} combinations`),
        element("div", { class: "scroll" }, estimates(finding.combinations, "combination")),
      ),
    finding.notes.map((text) => element("p", { class: "soft" }, text)),
  );
};

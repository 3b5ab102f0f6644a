"use strict";
// Statistics: of the rows shown, and the ranges of all numbers of the dataset.

(() => {
  const { make, get } = parrot;
  const MOST_ROWS = 64; // dimensions that are listed
  const NUM_BARS = 24;

  const median = (sorted) => sorted[Math.floor((sorted.length - 1) / 2)];

  const tile = (value, label) => make("li", {}, make("strong", {}, value), label);

  const showTiles = (rows) => {
    const lengths = Float64Array.from(rows, (row) => row.steps).sort();
    const successes = rows.filter((row) => row.success).length;
    const steps = lengths.reduce((sum, length) => sum + length, 0);
    const [least, most] = [lengths[0], lengths[lengths.length - 1]];
    const spread = least === most ? `${least} in each` : `${least} to ${most}, half have up to ${median(lengths)}`;
    get("tiles").replaceChildren(
      tile(rows.length.toLocaleString("en"), rows.length === 1 ? "episode" : "episodes"),
      tile(parrot.percent(successes, rows.length), `succeed (${successes.toLocaleString("en")})`),
      tile(steps.toLocaleString("en"), rows.length ? `steps; ${spread}` : "steps"),
    );
  };

  const failuresText = (failures) =>
    [...failures]
      .sort((a, b) => b[1] - a[1] || a[0] - b[0])
      .map(([code, count]) => `${code < 0 ? "unknown" : parrot.dataset.failures[code]} ${count}`)
      .join(", ");

  const showGroups = (rows) => {
    const grouping = parrot.grouping(), groups = new Map();
    for (const row of rows) {
      const [code] = grouping.codesOf(row);
      const group = groups.get(code) || { count: 0, successes: 0, failures: new Map() };
      group.count += 1;
      if (row.success) group.successes += 1;
      else group.failures.set(row.failure, (group.failures.get(row.failure) || 0) + 1);
      groups.set(code, group);
    }
    const head = [grouping.label, "episodes", "succeed", "", "failures"];
    const body = [...groups].sort((a, b) => a[0] - b[0]).slice(0, MOST_ROWS).map(([code, group]) => {
      const bar = make("span", { className: "share" });
      bar.style.setProperty("--share", group.successes / group.count);
      const isChosen = parrot.chosen(grouping.name) === code;
      const name = make("button", {
        type: "button", className: "link", title: isChosen ? `Show every ${grouping.label}` : `Show this ${grouping.label} only`,
        onclick: () => parrot.choose(grouping.name, isChosen ? null : code),
      }, parrot.labelOf(grouping, code));
      return make("tr", {},
        make("th", { scope: "row" }, name), make("td", {}, group.count.toLocaleString("en")),
        make("td", {}, parrot.percent(group.successes, group.count)), make("td", {}, bar),
        make("td", { className: "text" }, failuresText(group.failures)));
    });
    const heading = make("tr", {}, ...head.map((text, at) =>
      make("th", { scope: "col", className: at === 0 || at === 4 ? "text" : "" }, text)));
    get("task-table").replaceChildren(make("thead", {}, heading), make("tbody", {}, ...body));
    get("by-task").querySelector("summary").textContent = groups.size > MOST_ROWS
      ? `By ${grouping.label}: the first ${MOST_ROWS} of ${groups.size.toLocaleString("en")}`
      : `By ${grouping.label}`;
  };

  const showLengths = (rows) => {
    let least = Infinity, most = 0;
    for (const { steps } of rows) [least, most] = [Math.min(least, steps), Math.max(most, steps)];
    const width = Math.max(1, Math.ceil((most - least + 1) / NUM_BARS));
    const counts = rows.length ? new Array(Math.floor((most - least) / width) + 1).fill(0) : [];
    for (const { steps } of rows) counts[Math.floor((steps - least) / width)] += 1;
    const highest = Math.max(1, ...counts);
    get("length-bars").replaceChildren(...counts.map((count, at) => {
      const [from, to] = [least + at * width, least + (at + 1) * width - 1];
      const label = from === to ? `${from}` : `${from}–${to}`;
      const bar = make("span", { title: `${label} steps: ${count}` }, make("i"), make("b", {}, label));
      bar.style.setProperty("--share", count / highest);
      return bar;
    }));
  };

  parrot.showStatistics = (rows) => {
    showTiles(rows);
    showGroups(rows);
    showLengths(rows);
  };

  const rangeTable = (curve) => {
    const head = ["", "least", "mean", "deviation", "greatest", "not finite"];
    const hasOdd = curve.num_not_finite.some((count) => count > 0);
    const columns = [curve.min, curve.mean, curve.std, curve.max].map((c) => (at) => parrot.rounded(c[at]));
    if (hasOdd) columns.push((at) => curve.num_not_finite[at].toLocaleString("en"));
    const rows = [];
    for (let at = 0; at < Math.min(curve.dim, MOST_ROWS); at++) {
      const bounds = curve.name === "actions" && parrot.dataset.bounds.low
        ? ` in ${parrot.rounded(parrot.dataset.bounds.low[at])} to ${parrot.rounded(parrot.dataset.bounds.high[at])}` : "";
      const name = make("th", { scope: "row" }, `${at}`, make("span", { className: "quiet" }, bounds));
      rows.push(make("tr", {}, name, ...columns.map((text) => make("td", {}, text(at)))));
    }
    const more = curve.dim > MOST_ROWS ? `, the first ${MOST_ROWS} of ${curve.dim}` : "";
    return make("table", {},
      make("caption", {}, parrot.curveLabel(curve.name) + more),
      make("thead", {}, make("tr", {}, ...head.slice(0, columns.length + 1).map((text) =>
        make("th", { scope: "col" }, text)))),
      make("tbody", {}, ...rows));
  };

  parrot.curveLabel = (name) => name.replace(/^observation\./, "");

  // Made when first opened: a vector may have many dimensions.
  parrot.makeRanges = () => {
    get("ranges").ontoggle = () => {
      if (!get("range-tables").childElementCount) {
        get("range-tables").append(...parrot.dataset.curves.map(rangeTable));
      }
    };
  };
})();

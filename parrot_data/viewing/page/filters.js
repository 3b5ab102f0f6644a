"use strict";
// Filters: which rows are shown, chosen by a form and kept in the address behind "#".

(() => {
  const { make, get } = parrot;
  const state = { search: "", least: null, most: null, order: "index", chosen: new Map() };
  const selects = new Map(); // name of a facet -> its <select>
  let facets = [], onChange = () => {};

  const hasFilter = () =>
    state.search !== "" || state.least !== null || state.most !== null || state.chosen.size > 0;

  const passes = (row, exceptFor) => {
    if (state.least !== null && row.steps < state.least) return false;
    if (state.most !== null && row.steps > state.most) return false;
    for (const facet of facets) {
      const code = state.chosen.get(facet.name);
      if (code === undefined || facet === exceptFor) continue;
      if (!facet.codesOf(row).includes(code)) return false;
    }
    return state.search === "" || parrot.textOf(row).includes(state.search.toLowerCase());
  };

  parrot.shownRows = () => parrot.ordered(parrot.rows.filter((row) => passes(row)), state.order);

  // How many rows each choice would show, beside it.
  const countChoices = () => {
    for (const facet of facets) {
      const counts = new Map();
      for (const row of parrot.rows) {
        if (!passes(row, facet)) continue;
        for (const code of facet.codesOf(row)) counts.set(code, (counts.get(code) || 0) + 1);
      }
      const chosen = state.chosen.get(facet.name);
      const options = [make("option", { value: "" }, "any")];
      for (const code of [...facet.values.keys(), -1]) {
        const count = counts.get(code) || 0;
        if (!count && code !== chosen) continue;
        const text = `${parrot.labelOf(facet, code)} (${count.toLocaleString("en")})`;
        options.push(make("option", { value: String(code), selected: code === chosen }, text));
      }
      selects.get(facet.name).replaceChildren(...options);
    }
  };

  const changed = () => {
    countChoices();
    get("clear").disabled = !hasFilter();
    onChange();
  };

  parrot.choose = (name, code) => {
    if (code === null) state.chosen.delete(name);
    else state.chosen.set(name, code);
    changed();
  };

  parrot.chosen = (name) => state.chosen.get(name);

  parrot.clearFilters = () => {
    Object.assign(state, { search: "", least: null, most: null });
    state.chosen.clear();
    showState();
    changed();
  };

  const showState = () => {
    get("search").value = state.search;
    get("least").value = state.least ?? "";
    get("most").value = state.most ?? "";
    get("order").value = state.order;
  };

  const numberIn = (field) => (field.value === "" ? null : Number(field.value));

  parrot.makeFilters = (listener) => {
    facets = parrot.facets();
    onChange = listener;
    const lengths = make(
      "fieldset", {}, make("legend", {}, "Steps"),
      make("input", { id: "least", type: "number", min: 1, placeholder: "least", "aria-label": "At least" }),
      make("input", { id: "most", type: "number", min: 1, placeholder: "most", "aria-label": "At most" }),
    );
    get("filter-form").append(
      make("label", {}, "Search", make("input", { id: "search", type: "search", placeholder: "#12, an object, …" })),
      ...facets.map((facet) => {
        const select = make("select", { onchange: () => {
          parrot.choose(facet.name, select.value === "" ? null : Number(select.value));
        } });
        select.dataset.facet = facet.name;
        selects.set(facet.name, select);
        return make("label", {}, facet.label, select);
      }),
      lengths,
      make("button", { id: "clear", type: "button", onclick: parrot.clearFilters }, "Show all"),
    );
    for (const [value, { label }] of parrot.ORDERS) get("order").append(make("option", { value }, label));
    get("filter-form").onsubmit = (event) => event.preventDefault();
    get("filter-form").oninput = (event) => {
      if (event.target.tagName === "SELECT") return;
      Object.assign(state, { search: get("search").value, least: numberIn(get("least")), most: numberIn(get("most")) });
      changed();
    };
    get("order").onchange = () => {
      state.order = get("order").value;
      changed();
    };
    get("clear-none").onclick = parrot.clearFilters;
    showState();
  };

  // The state as it stands in the address; values by what they are called, not by code.
  parrot.writeFilters = (address) => {
    if (state.search) address.set("search", state.search);
    if (state.least !== null) address.set("least", state.least);
    if (state.most !== null) address.set("most", state.most);
    if (state.order !== "index") address.set("order", state.order);
    for (const facet of facets) {
      const code = state.chosen.get(facet.name);
      if (code !== undefined) address.set(facet.name, code === -1 ? "" : facet.values[code]);
    }
  };

  parrot.readFilters = (address) => {
    state.search = address.get("search") || "";
    const number = (name) => (/^\d+$/.test(address.get(name) || "") ? Number(address.get(name)) : null);
    state.least = number("least");
    state.most = number("most");
    state.order = parrot.ORDERS.has(address.get("order")) ? address.get("order") : "index";
    state.chosen.clear();
    for (const facet of facets) {
      const label = address.get(facet.name);
      const code = label === "" ? -1 : facet.values.indexOf(label);
      if (label === "" || (label !== null && code >= 0)) state.chosen.set(facet.name, code);
    }
    showState();
    countChoices();
    get("clear").disabled = !hasFilter();
  };

  parrot.countChoices = countChoices;
})();

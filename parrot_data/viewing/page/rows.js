"use strict";
// Rows: what the index says of each episode, a line each.

(() => {
  const NONE = -1;
  parrot.rows = [];

  const row = ([index, task, success, failure, steps, total, block, facts], position) => ({
    index, task, success: Boolean(success), failure, steps, total, block, facts, position,
  });

  // Load the whole index, part by part; `onPart` is called after each.
  parrot.loadRows = async (onPart) => {
    for (let number = 0; number < parrot.dataset.num_indices; number++) {
      for (const line of await parrot.loadIndex(number)) {
        parrot.rows.push(row(line, parrot.rows.length));
      }
      onPart();
    }
  };

  // By what rows can be told apart: {name, label, values, codesOf}. Each has two values at least.
  parrot.facets = () => {
    const { tasks, failures, facts, num_successes, num_episodes } = parrot.dataset;
    const one = (code) => [code];
    const all = [
      { name: "task", label: "Task", values: tasks, codesOf: (row) => one(row.task) },
      {
        name: "outcome", label: "Outcome",
        values: num_successes && num_successes < num_episodes ? ["success", "failure"] : [],
        codesOf: (row) => one(row.success ? 0 : 1),
      },
      {
        name: "failure", label: "Why it failed", values: failures, least: 1,
        codesOf: (row) => one(row.failure),
      },
      ...facts.map(({ name, values }, at) => ({
        name: `facts.${name}`, label: name, values, least: 1,
        codesOf: (row) => (row.facts[at].length ? row.facts[at] : one(NONE)),
      })),
    ];
    return all.filter(({ values, least }) => values.length >= (least || 2));
  };

  // By what the table and the cards tell the rows apart: the task, or the fact that the data name.
  parrot.grouping = () => {
    const { grouped_by } = parrot.dataset;
    const named = parrot.facets().find(({ name }) => name === `facts.${grouped_by}`);
    const byTask = (row) => [row.task];
    return named || { name: "task", label: "task", values: parrot.dataset.tasks, codesOf: byTask };
  };

  parrot.groupOf = (row) => {
    const group = parrot.grouping();
    return parrot.labelOf(group, group.codesOf(row)[0]);
  };

  // What is done in a row, behind what else tells the rows apart.
  parrot.nameOf = (row) => {
    const task = parrot.dataset.tasks[row.task];
    return parrot.grouping().name === "task" ? task : `${parrot.groupOf(row)} · ${task}`;
  };

  parrot.labelOf = (facet, code) => (code === NONE ? "(none)" : facet.values[code]);

  parrot.outcomeOf = (row) => {
    if (row.success) return "success";
    return row.failure === NONE ? "failure" : parrot.dataset.failures[row.failure];
  };

  // All that the search looks through, in lower case.
  parrot.textOf = (row) => {
    if (row.text === undefined) {
      const { facts } = parrot.dataset;
      const told = row.facts.flatMap((codes, at) => codes.map((code) => facts[at].values[code]));
      const task = parrot.dataset.tasks[row.task];
      row.text = [`#${row.index}`, task, parrot.outcomeOf(row), ...told].join("\n").toLowerCase();
    }
    return row.text;
  };

  parrot.ORDERS = new Map([
    ["index", { label: "by number", of: (row) => row.position, sign: 1 }],
    ["shortest", { label: "shortest first", of: (row) => row.steps, sign: 1 }],
    ["longest", { label: "longest first", of: (row) => row.steps, sign: -1 }],
    ["best", { label: "highest return first", of: (row) => row.total ?? -Infinity, sign: -1 }],
    ["worst", { label: "lowest return first", of: (row) => row.total ?? Infinity, sign: 1 }],
  ]);

  parrot.ordered = (rows, order) => {
    const { of, sign } = parrot.ORDERS.get(order);
    return rows.sort((a, b) => {
      const x = of(a), y = of(b);
      return x === y ? a.position - b.position : x < y ? -sign : sign;
    });
  };
})();

"use strict";
// The episode that is open: its images, its curves and a cursor that moves through both.

(() => {
  const { make, get } = parrot;
  const SPEEDS = [0.25, 0.5, 1, 2, 4];
  const DEFAULT_RATE_HZ = 10;
  const KEYS = { ArrowLeft: -1, ArrowRight: 1 };
  let open = null; // {row, told, steps, cameras, charts, step}
  let kept = null; // {row, told} of an episode that is shown beside whichever is open
  let timer = 0, opening = 0;

  const showStep = (step) => {
    if (!open) return Promise.resolve();
    open.step = Math.min(open.steps, Math.max(0, step));
    get("scrub").value = open.step;
    get("step").textContent = `step ${open.step} of ${open.steps}`;
    for (const chart of open.charts) chart.showStep(Math.min(open.step, open.row.steps));
    const shown = open;
    return Promise.all(open.cameras.map((camera) => camera.show(open.step))).catch((error) => {
      if (shown === open) parrot.tell("episode-problem", error.message || "An image cannot be read.");
    });
  };

  const pause = () => {
    clearTimeout(timer);
    timer = 0;
    get("play").textContent = "Play";
  };

  // Step by step at the episode's rate; an image that is not there yet is waited for.
  const play = () => {
    if (!open) return;
    get("play").textContent = "Pause";
    const episode = open;
    const interval = 1000 / (Number(get("speed").value) * (parrot.dataset.control_rate_hz || DEFAULT_RATE_HZ));
    let due = performance.now();
    const next = async () => {
      if (!timer || episode !== open) return;
      await showStep(open.step + 1);
      if (!timer || episode !== open) return;
      if (open.step >= open.steps) return pause();
      due = Math.max(due + interval, performance.now() - interval);
      timer = setTimeout(next, Math.max(0, due - performance.now()));
    };
    if (open.step >= open.steps) showStep(0);
    timer = setTimeout(next, interval);
  };

  const toggle = () => (timer ? pause() : play());

  const seek = (step) => {
    pause();
    showStep(step);
  };

  const factRows = (row, told) => {
    const { tasks } = parrot.dataset;
    const end = told.terminated ? "the environment ended it" : "cut off";
    const rows = [
      ["task", tasks[row.task]], ["outcome", parrot.outcomeOf(row)], ["steps", `${row.steps}, ${end}`],
      ["return", parrot.rounded(row.total)],
      ...Object.entries(told.facts).map(([name, value]) => [name, factText(value)]),
      ["content hash", `${told.content_hash.slice(0, 16)}…`],
    ];
    return rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
  };

  const factText = (value) => {
    if (typeof value === "string") return value || "–";
    if (Array.isArray(value) && value.every((each) => typeof each === "string")) return value.join(", ");
    return JSON.stringify(value);
  };

  const clear = () => {
    pause();
    for (const chart of open ? open.charts : []) chart.end();
    open = null;
    for (const id of ["cameras", "charts", "facts"]) get(id).replaceChildren();
    parrot.tell("episode-problem", "");
  };

  // The cameras of an episode, which shows its end when it is over; with its name where it is not alone.
  const camerasOf = ({ row, told }, isAlone) => parrot.dataset.cameras.map((camera) => {
    const { element, show } = parrot.makeCamera(camera, told.images[camera.name], row.position, row.steps + 1);
    element.dataset.episode = row.index;
    if (!isAlone) {
      const outcome = make("span", { className: "quiet" }, ` ${parrot.outcomeOf(row)}`);
      element.append(make("figcaption", {}, `#${row.index} ${parrot.nameOf(row)}`, outcome));
    }
    return { element, show: (step) => show(Math.min(step, row.steps)) };
  });

  const fill = (row, told) => {
    const shown = kept && kept.row !== row ? [{ row, told }, kept] : [{ row, told }];
    const steps = Math.max(...shown.map((each) => each.row.steps));
    const cameras = shown.flatMap((each) => camerasOf(each, shown.length === 1));
    const charts = parrot.dataset.curves.map(({ name, dim }) => {
      const values = parrot.floats(told.arrays[name]);
      return parrot.makeChart({ name, dim, values, numRows: values.length / dim }, row.steps, seek);
    });
    open = { row, told, steps, cameras, charts, step: 0 };
    get("cameras").replaceChildren(...cameras.map(({ element }) => element));
    get("charts").replaceChildren(...charts.map(({ element }) => element));
    get("facts").replaceChildren(...factRows(row, told));
    get("scrub").max = steps;
    get("keep").hidden = !cameras.length;
    get("keep").textContent = kept ? `Let go of #${kept.row.index}` : "Keep beside";
    get("body").classList.toggle("beside", cameras.length < 2);
  };

  // Keep the open episode beside those that are opened next, or let the kept one go.
  const keep = () => {
    const { row, told, step } = open;
    kept = kept ? null : { row, told };
    clear();
    fill(row, told);
    showStep(step);
  };

  parrot.openEpisode = async (row) => {
    const mine = ++opening;
    clear();
    get("episode-title").textContent = `Episode ${row.index} · ${parrot.nameOf(row)} · ${parrot.outcomeOf(row)}`;
    get("previous").disabled = !parrot.neighbour(row, -1);
    get("next").disabled = !parrot.neighbour(row, 1);
    get("previous").onclick = () => go(row, -1);
    get("next").onclick = () => go(row, 1);
    if (!get("episode").open) get("episode").showModal();
    get("episode").dataset.state = "loading";
    parrot.opened(row);
    try {
      const told = (await parrot.loadBlock(row.block)).get(String(row.position));
      if (mine !== opening) return;
      fill(row, told);
      await showStep(0);
      if (mine === opening) get("episode").dataset.state = "open";
    } catch (error) {
      if (mine === opening) parrot.tell("episode-problem", error.message);
    }
  };

  parrot.closeEpisode = () => get("episode").open && get("episode").close();

  const go = (row, by) => {
    const other = parrot.neighbour(row, by);
    if (other) parrot.openEpisode(other);
  };

  const onKey = (event) => {
    const { tagName, type } = event.target;
    const isTyping = tagName === "SELECT" || (tagName === "INPUT" && type !== "range");
    if (!open || isTyping || event.ctrlKey || event.altKey || event.metaKey) return;
    // The space bar presses a button that was gone to by keyboard, and plays anywhere else
    if (event.key === " " && event.target.matches("button:focus-visible")) return;
    if (event.key === " ") toggle();
    else if (event.key in KEYS) seek(open.step + KEYS[event.key] * (event.shiftKey ? 10 : 1));
    else if (event.key === "Home") seek(0);
    else if (event.key === "End") seek(open.steps);
    else if (event.key === "PageUp") go(open.row, -1);
    else if (event.key === "PageDown") go(open.row, 1);
    else return;
    event.preventDefault();
  };

  parrot.makePlayer = () => {
    for (const speed of SPEEDS) {
      get("speed").append(make("option", { value: speed, selected: speed === 1 }, `${speed} ×`));
    }
    get("speed").onchange = () => {
      if (timer) {
        pause();
        play();
      }
    };
    get("play").onclick = toggle;
    get("back").onclick = () => open && seek(open.step - 1);
    get("forward").onclick = () => open && seek(open.step + 1);
    get("scrub").oninput = () => seek(Number(get("scrub").value));
    get("keep").onclick = () => open && keep();
    get("close").onclick = parrot.closeEpisode;
    get("episode").addEventListener("keydown", onKey);
    get("episode").addEventListener("close", () => {
      const row = open && open.row;
      opening += 1;
      clear();
      delete get("episode").dataset.state;
      parrot.closed(row);
    });
    const scheme = window.matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", () => open && open.charts.forEach((chart) => chart.redraw()));
  };
})();

"use strict";
// The page: load what the dataset is, then its index, and keep the address true to what is shown.

(() => {
  const { get } = parrot;
  let isReady = false;

  // What is shown as an address behind "#", so that it can be marked, sent and gone back to.
  const address = (row) => {
    const said = new URLSearchParams();
    parrot.writeFilters(said);
    if (row) said.set("episode", row.position); // merged data may have an index twice
    return `#${said}`;
  };

  const shown = () => {
    const rows = parrot.shownRows();
    const { num_episodes } = parrot.dataset;
    get("count").textContent = rows.length === num_episodes
      ? parrot.counted(num_episodes, "episode")
      : `${rows.length.toLocaleString("en")} of ${parrot.counted(num_episodes, "episode")}`;
    parrot.showGrid(rows);
    parrot.showStatistics(rows);
  };

  const changed = () => {
    shown();
    if (isReady) history.replaceState(null, "", address(null));
  };

  parrot.opened = (row) => {
    if (location.hash === address(row)) return;
    if (location.hash.includes("episode=")) history.replaceState(null, "", address(row));
    else history.pushState(null, "", address(row));
  };

  parrot.closed = (row) => {
    history.replaceState(null, "", address(null));
    if (row) parrot.focusCard(row);
  };

  const readAddress = () => {
    const said = new URLSearchParams(location.hash.slice(1));
    parrot.readFilters(said);
    shown();
    const position = said.get("episode");
    const row = position === null ? undefined : parrot.rows[Number(position)];
    if (row) parrot.openEpisode(row);
    else parrot.closeEpisode();
  };

  const describe = () => {
    const { name, kind, sha256, tasks, cameras, curves } = parrot.dataset;
    const title = name ? `Episodes of ${name}` : "Episodes";
    document.title = get("title").textContent = title;
    const vectors = curves.slice(2).map((curve) => `${parrot.curveLabel(curve.name)} (${curve.dim})`);
    const images = cameras.map((camera) => `${camera.name} (${camera.width} × ${camera.height})`);
    get("subtitle").textContent = [
      parrot.counted(tasks.length, "task"), [...images, ...vectors].join(", "),
      `actions (${curves[0].dim})`, `${kind} ${sha256.slice(0, 12)}`,
    ].join(" · ");
  };

  const start = async () => {
    parrot.dataset = await parrot.loadDataset();
    describe();
    if (window.matchMedia("(max-width: 47rem)").matches) get("filters").open = get("by-task").open = false;
    parrot.makeGrid();
    parrot.makePlayer();
    parrot.makeRanges();
    parrot.makeFilters(changed);
    const { num_episodes } = parrot.dataset;
    await parrot.loadRows(() => {
      const count = parrot.rows.length;
      if (count === num_episodes) return;
      get("loading").textContent = `${count.toLocaleString("en")} of ${num_episodes.toLocaleString("en")} read`;
      if (count <= 1000) shown(); // something to see; the rest at once
    });
    get("loading").textContent = "";
    isReady = true;
    readAddress();
    window.addEventListener("popstate", readAddress);
    document.addEventListener("keydown", (event) => {
      const isTyping = ["INPUT", "SELECT"].includes(event.target.tagName);
      if (event.key !== "/" || isTyping || get("episode").open) return;
      event.preventDefault();
      get("filters").open = true;
      get("search").focus();
    });
    document.documentElement.dataset.state = "ready";
  };

  start().catch((error) => {
    parrot.tell("problem", error.message);
    throw error;
  });
})();

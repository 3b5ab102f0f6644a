"use strict";
// The grid of episodes. Only the cards in sight are in the page, however many there are.

(() => {
  const { make, get } = parrot;
  const GAP = 10, TEXT_HEIGHT = 46, LEAST_WIDTH = 148, BORDER = 2, ROWS_AROUND = 3;
  const MOST_HEIGHT = 30_000_000; // px: browsers draw no higher element
  let rows = [], columns = 1, cardWidth = LEAST_WIDTH, rowHeight = 100, focused = 0;
  const cards = new Map(); // place in `rows` -> element

  const picture = (row) => {
    const { width, height, num_columns, per_sprite } = parrot.dataset.thumbnail;
    const scale = (cardWidth - BORDER) / width;
    const at = row.position % per_sprite;
    const count = Math.min(per_sprite, parrot.dataset.num_episodes - row.position + at);
    const [x, y] = [at % num_columns, Math.floor(at / num_columns)];
    const element = make("span", { className: "thumbnail" });
    const size = [Math.min(num_columns, per_sprite) * width, Math.ceil(count / num_columns) * height];
    Object.assign(element.style, {
      height: `${height * scale}px`,
      backgroundImage: `url("${parrot.thumbnails(Math.floor(row.position / per_sprite))}")`,
      backgroundSize: `${size[0] * scale}px ${size[1] * scale}px`,
      backgroundPosition: `${-x * width * scale}px ${-y * height * scale}px`,
    });
    return element;
  };

  const card = (row, place) => {
    const outcome = parrot.outcomeOf(row);
    const name = parrot.nameOf(row);
    const element = make("button", {
      type: "button", className: `card ${row.success ? "success" : "failure"}`,
      "aria-label": `Episode ${row.index}, ${name}, ${outcome}, ${parrot.counted(row.steps, "step")}`,
      onclick: () => parrot.openEpisode(row), onfocus: () => (focused = place),
    },
    picture(row),
    make("span", { className: "line" }, make("b", {}, `#${row.index}`), ` ${name}`),
    make("span", { className: "line quiet" },
      make("span", { className: "outcome" }, `${row.success ? "✓" : "✗"} ${outcome}`), ` · ${row.steps}`));
    Object.assign(element.style, {
      left: `${(place % columns) * (cardWidth + GAP)}px`,
      top: `${Math.floor(place / columns) * rowHeight}px`,
      width: `${cardWidth}px`,
    });
    element.dataset.place = place;
    return element;
  };

  const draw = () => {
    const top = -get("grid").getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / rowHeight) - ROWS_AROUND) * columns;
    const last = (Math.ceil((top + window.innerHeight) / rowHeight) + ROWS_AROUND) * columns;
    for (const [place, element] of cards) {
      if ((place < first || place >= last) && element !== document.activeElement) {
        element.remove();
        cards.delete(place);
      }
    }
    for (let place = first; place < Math.min(last, rows.length); place++) {
      if (!cards.has(place)) {
        cards.set(place, card(rows[place], place));
        get("grid").append(cards.get(place));
      }
      cards.get(place).tabIndex = place === Math.min(focused, rows.length - 1) ? 0 : -1;
    }
    // One card can be reached by Tab, the one that was in use or, out of sight, the first in sight
    if (!cards.has(focused) && cards.size) cards.get(Math.min(...cards.keys())).tabIndex = 0;
  };

  const layOut = () => {
    const width = get("grid").clientWidth;
    const { width: w, height: h } = parrot.dataset.thumbnail;
    columns = Math.max(1, Math.floor((width + GAP) / (LEAST_WIDTH + GAP)));
    cardWidth = Math.floor((width - (columns - 1) * GAP) / columns);
    rowHeight = ((cardWidth - BORDER) / w) * h + TEXT_HEIGHT + GAP;
    const height = Math.ceil(rows.length / columns) * rowHeight;
    get("grid").style.height = `${Math.min(height, MOST_HEIGHT)}px`;
    for (const element of cards.values()) element.remove();
    cards.clear();
    draw();
  };

  parrot.showGrid = (shown) => {
    rows = shown;
    focused = 0;
    get("none").hidden = rows.length > 0 || parrot.rows.length === 0;
    layOut();
  };

  // The row shown before or after another, undefined at the ends.
  parrot.neighbour = (row, by) => rows[rows.indexOf(row) + by] || undefined;

  parrot.focusCard = (row) => focus(rows.indexOf(row));

  const focus = (place) => {
    if (place < 0 || place >= rows.length) return;
    focused = place;
    const grid = get("grid").getBoundingClientRect();
    const top = grid.top + Math.floor(place / columns) * rowHeight;
    if (top < 0 || top + rowHeight > window.innerHeight) {
      window.scrollBy(0, top - (window.innerHeight - rowHeight) / 2);
    }
    draw();
    cards.get(place)?.focus({ preventScroll: true });
  };

  parrot.makeGrid = () => {
    const steps = { ArrowLeft: () => -1, ArrowRight: () => 1, ArrowUp: () => -columns, ArrowDown: () => columns };
    get("grid").onkeydown = (event) => {
      if (event.key === "Home") focus(0);
      else if (event.key === "End") focus(rows.length - 1);
      else if (event.key in steps) focus(focused + steps[event.key]());
      else return;
      event.preventDefault();
    };
    let isWaiting = false;
    const soon = () => {
      if (isWaiting) return;
      isWaiting = true;
      requestAnimationFrame(() => {
        isWaiting = false;
        draw();
      });
    };
    window.addEventListener("scroll", soon, { passive: true });
    window.addEventListener("resize", soon, { passive: true });
    let width = 0;
    new ResizeObserver(() => {
      if (get("grid").clientWidth === width) return;
      width = get("grid").clientWidth;
      layOut();
    }).observe(get("grid"));
  };
})();

"use strict";
// Charts: the numbers of an episode over its steps, a line a dimension, and a cursor at one step.

(() => {
  const { make } = parrot;
  const HEIGHT = 120, LEFT = 60, RIGHT = 10, TOP = 8, BOTTOM = 20; // px
  const MOST_AT_ONCE = 16, FIRST_AT_ONCE = 8, MOST_CHIPS = 64, NUM_COLORS = 8;

  const color = (dimension) => `var(--curve-${dimension % NUM_COLORS})`;

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Least and greatest finite number of some dimensions; widened where they are one.
  const extent = ({ values, dim, numRows }, dimensions) => {
    let low = Infinity, high = -Infinity;
    for (let row = 0; row < numRows; row++) {
      for (const dimension of dimensions) {
        const value = values[row * dim + dimension];
        if (!Number.isFinite(value)) continue;
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    if (low > high) return [0, 1];
    return low < high ? [low, high] : [low - 0.5, high + 0.5];
  };

  // Draw a dimension: every value, or per pixel the least and the greatest where they are closer.
  const drawLine = (context, { values, dim, numRows }, dimension, x, y, width) => {
    context.beginPath();
    const stride = Math.max(1, Math.floor(numRows / (2 * width)));
    let isOn = false;
    for (let start = 0; start < numRows; start += stride) {
      let low = Infinity, high = -Infinity;
      for (let row = start; row < Math.min(start + stride, numRows); row++) {
        const value = values[row * dim + dimension];
        if (!Number.isFinite(value)) continue;
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
      if (low > high) {
        isOn = false; // a gap where nothing is finite
        continue;
      }
      if (isOn) context.lineTo(x(start), y(low));
      else context.moveTo(x(start), y(low));
      if (high > low) context.lineTo(x(start), y(high));
      if (!isOn) context.lineTo(x(start) + 0.01, y(high)); // a dot, should it stay alone
      isOn = true;
    }
    context.stroke();
  };

  const draw = (canvas, curve, shown, numSteps) => {
    const width = canvas.clientWidth, ratio = window.devicePixelRatio || 1;
    if (!width) return;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(HEIGHT * ratio);
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const [low, high] = extent(curve, shown);
    const x = (step) => LEFT + ((width - LEFT - RIGHT) * step) / Math.max(1, numSteps);
    const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low));
    context.strokeStyle = style("--line");
    context.fillStyle = style("--quiet");
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const value of [low, (low + high) / 2, high]) {
      context.beginPath();
      context.moveTo(LEFT, y(value));
      context.lineTo(width - RIGHT, y(value));
      context.stroke();
      context.fillText(parrot.rounded(value), LEFT - 6, y(value));
    }
    context.textBaseline = "alphabetic";
    for (const step of new Set([0, Math.round(numSteps / 2), numSteps])) {
      context.textAlign = step === numSteps ? "right" : "center";
      context.fillText(String(step), x(step), HEIGHT - 5);
    }
    context.lineWidth = 1.5;
    context.lineCap = context.lineJoin = "round";
    for (const dimension of shown) {
      context.strokeStyle = style(`--curve-${dimension % NUM_COLORS}`);
      drawLine(context, curve, dimension, x, y, width - LEFT - RIGHT);
    }
  };

  // The chips of a chart: a dimension's colour, name and value; pressed where its line is shown.
  const makeChips = (curve, shown, redraw) => {
    const element = make("div", { className: "chips" });
    const texts = new Map();
    const add = (dimension) => {
      const value = make("output", {});
      value.dataset.value = `${curve.name}/${dimension}`;
      const chip = make("button", {
        type: "button", className: "chip", "aria-pressed": String(shown.has(dimension)),
        title: `Show or hide dimension ${dimension}`,
        onclick: () => {
          if (!shown.delete(dimension)) shown.add(dimension);
          chip.setAttribute("aria-pressed", String(shown.has(dimension)));
          redraw();
        },
      }, curve.dim === 1 ? "" : `${dimension} `, value);
      chip.style.setProperty("--color", color(dimension));
      texts.set(dimension, value);
      element.append(chip);
    };
    for (let dimension = 0; dimension < Math.min(curve.dim, MOST_CHIPS); dimension++) add(dimension);
    if (curve.dim > MOST_CHIPS) {
      const more = make("input", {
        type: "number", min: MOST_CHIPS, max: curve.dim - 1, placeholder: "more",
        "aria-label": `Show another dimension, up to ${curve.dim - 1}`,
        onchange: () => {
          const dimension = Number(more.value);
          if (!Number.isInteger(dimension) || dimension < 0 || dimension >= curve.dim) return;
          shown.add(dimension);
          if (!texts.has(dimension)) add(dimension);
          more.value = "";
          redraw();
          more.dispatchEvent(new Event("added", { bubbles: true }));
        },
      });
      element.append(more);
    }
    const showStep = (step) => {
      for (const [dimension, text] of texts) {
        const isThere = step < curve.numRows;
        text.textContent = isThere ? parrot.float32Text(curve.values[step * curve.dim + dimension]) : "–";
      }
    };
    return { element, showStep };
  };

  // A chart of {name, dim, values, numRows}; `onSeek` is called with the step that was pointed at.
  parrot.makeChart = (curve, numSteps, onSeek) => {
    const first = curve.dim <= MOST_AT_ONCE ? curve.dim : FIRST_AT_ONCE;
    const shown = new Set(Array.from({ length: first }, (_, dimension) => dimension));
    const canvas = make("canvas", { className: "plot", role: "img", "aria-label": `${parrot.curveLabel(curve.name)} over the steps` });
    const cursor = make("span", { className: "cursor" });
    const plot = make("div", { className: "plot-area" }, canvas, cursor);
    plot.style.height = `${HEIGHT}px`;
    let now = 0;
    const redraw = () => {
      draw(canvas, curve, [...shown].sort((a, b) => a - b), numSteps);
      showStep(now);
    };
    const chips = makeChips(curve, shown, redraw);
    const showStep = (step) => {
      now = step;
      chips.showStep(step);
      cursor.style.left = `calc(${LEFT}px + (100% - ${LEFT + RIGHT}px) * ${step / Math.max(1, numSteps)})`;
    };
    const seek = (event) => {
      const box = plot.getBoundingClientRect();
      const share = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
      onSeek(Math.min(numSteps, Math.max(0, Math.round(share * numSteps))));
    };
    plot.onpointerdown = (event) => {
      plot.setPointerCapture(event.pointerId);
      seek(event);
    };
    plot.onpointermove = (event) => event.buttons && seek(event);
    const observer = new ResizeObserver(redraw);
    observer.observe(plot);
    const label = curve.dim > 1 ? `${parrot.curveLabel(curve.name)} (${curve.dim})` : parrot.curveLabel(curve.name);
    const element = make("section", { className: "chart" }, make("h3", {}, label), plot, chips.element);
    return { element, showStep, redraw, end: () => observer.disconnect() };
  };
})();

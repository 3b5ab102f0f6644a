"use strict";
// Elements and text. Whatever comes from the data becomes text, never markup.

(() => {
  parrot.get = (id) => document.getElementById(id);

  // An element with properties and children; strings are text.
  parrot.make = (tag, properties, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties || {})) {
      if (name.includes("-") || name === "for") element.setAttribute(name, value);
      else element[name] = value;
    }
    element.append(...children);
    return element;
  };

  // The shortest text that is this float32 number again.
  parrot.float32Text = (value) => {
    if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
    for (let digits = 1; digits < 9; digits++) {
      const text = Number(value.toPrecision(digits));
      if (Math.fround(text) === value) return String(text);
    }
    return String(Number(value.toPrecision(9)));
  };

  // A number of a statistic, rounded for the eye.
  parrot.rounded = (value) => {
    if (value === null || !Number.isFinite(value)) return "–";
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
    return String(Number(value.toPrecision(4)));
  };

  parrot.counted = (number, one, many) =>
    `${number.toLocaleString("en")} ${number === 1 ? one : many || `${one}s`}`;

  parrot.percent = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)} %` : "–");

  parrot.tell = (id, sentence) => {
    parrot.get(id).textContent = sentence;
    parrot.get(id).hidden = !sentence;
  };
})();

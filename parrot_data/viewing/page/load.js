"use strict";
// Loading. A page opened from a file may not fetch, but it may load scripts: each of the data's
// calls parrot.receive with its name and its content as JSON.

const parrot = {};

(() => {
  const MOST_BLOCKS = 12; // kept: a block is some 0.3 to 4 MB of text
  const waiting = new Map(); // name -> {resolve, reject}
  const blocks = new Map(); // name -> promise, the one used last is last

  parrot.receive = (name, text) => {
    const one = waiting.get(name);
    waiting.delete(name);
    if (one) one.resolve(JSON.parse(text));
  };

  const script = (name) =>
    new Promise((resolve, reject) => {
      waiting.set(name, { resolve, reject });
      const element = document.createElement("script");
      element.src = `data/${name}.js`;
      element.onload = () => element.remove();
      element.onerror = () => {
        element.remove();
        waiting.delete(name);
        reject(new Error(`data/${name}.js cannot be read: it belongs beside this page.`));
      };
      document.head.append(element);
    });

  const numbered = (kind, number) => `${kind}-${String(number).padStart(5, "0")}`;

  parrot.loadDataset = () => script("dataset");
  parrot.loadIndex = (number) => script(numbered("index", number));

  // The pieces in a block, by key.
  parrot.loadBlock = (number) => {
    const name = numbered("block", number);
    const found = blocks.get(name) || script(name).then((pieces) => new Map(Object.entries(pieces)));
    blocks.delete(name);
    blocks.set(name, found);
    found.catch(() => blocks.delete(name));
    if (blocks.size > MOST_BLOCKS) blocks.delete(blocks.keys().next().value);
    return found;
  };

  parrot.thumbnails = (number) => `data/${numbered("thumbnails", number)}.webp`;

  parrot.floats = (base64) => {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return new Float32Array(bytes.buffer);
  };
})();

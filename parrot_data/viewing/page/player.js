"use strict";
// Cameras: the frames of an episode lie on sheets, which are unpacked when one of theirs is shown.

(() => {
  const { make } = parrot;
  const MOST_SHEETS = 3; // kept unpacked, of each camera

  const unpacked = async (block, key) => {
    const pieces = await parrot.loadBlock(block);
    const image = new Image();
    image.src = `data:image/webp;base64,${pieces.get(key)}`;
    await image.decode();
    return image;
  };

  // A camera's view of the episode at a position, of so many frames: {element, show(step)}.
  parrot.makeCamera = (camera, { sheets, is_exact }, position, numFrames) => {
    const { name, width, height, num_columns, num_frames } = camera;
    const kept = new Map();
    const sheet = (number) => {
      const found = kept.get(number) || unpacked(sheets[number], `${position}/${name}/${number}`);
      kept.delete(number);
      kept.set(number, found);
      if (kept.size > MOST_SHEETS) kept.delete(kept.keys().next().value);
      return found;
    };
    const canvas = make("canvas", { width, height, role: "img", "aria-label": `Camera ${name}` });
    canvas.dataset.camera = name;
    const context = canvas.getContext("2d");
    let wanted = 0;
    const show = async (step) => {
      wanted = step;
      const number = Math.floor(step / num_frames);
      const image = await sheet(number);
      if (number + 1 < sheets.length) sheet(number + 1).catch(() => {}); // ahead; told when needed
      if (step !== wanted) return;
      const onSheet = Math.min(num_frames, numFrames - number * num_frames);
      const columns = Math.min(num_columns, onSheet);
      const at = step % num_frames;
      const [x, y] = [(at % columns) * width, Math.floor(at / columns) * height];
      context.drawImage(image, x, y, width, height, 0, 0, width, height);
      canvas.dataset.step = step;
    };
    const size = `${width} × ${height}${is_exact ? "" : ", compressed"}`;
    const caption = make("figcaption", {}, name, make("span", { className: "quiet" }, ` ${size}`));
    const element = make("figure", {}, canvas, caption);
    element.style.setProperty("--ratio", width / height);
    return { element, show };
  };
})();

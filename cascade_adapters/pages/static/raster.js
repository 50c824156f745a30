"use strict";
// All cells at once: a row per cell, darker where more spikes are inferred; above it the mean over the population.
Cascade.Raster = class {
  constructor(element, source, choose) {
    this.element = element;
    this.source = source;
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    element.append(this.canvas);
    this.canvas.addEventListener("click", (event) => {
      const cell = this.cellAt(event.offsetY);
      if (cell !== undefined) choose(cell);
    });
    this.margin = { left: 62, right: 14, top: 96, bottom: 48 };
    this.width = 0;
    this.order("noise");
    new ResizeObserver(() => this.width !== element.clientWidth && this.draw()).observe(element);
  }

  order(by) {
    const data = this.source.data;
    const known = data.cells.map((_, cell) => cell).filter((cell) => data.mean_hz[cell] !== null);
    const last = (value) => (value === null ? Infinity : value);
    if (by === "noise") known.sort((a, b) => last(data.noise[a]) - last(data.noise[b]) || a - b);
    if (by === "rate") known.sort((a, b) => data.mean_hz[b] - data.mean_hz[a] || a - b);
    this.cells = known;
    const peaks = [], step = Math.max(1, Math.round((known.length * data.n_bins) / 50000));
    for (const cell of known) {
      const numbers = this.source.binNumbers(cell, 2);
      const scale = (data.ranges[cell][2] * data.rate_hz) / 254;
      for (let i = 0; i < numbers.length; i += step) if (numbers[i] > 1) peaks.push((numbers[i] - 1) * scale);
    }
    peaks.sort((a, b) => a - b);
    this.most = peaks.length ? Math.max(peaks[Math.floor(0.98 * (peaks.length - 1))], 1e-6) : 1;
    this.drawn = this.picture();
    this.draw();
  }

  get rowsPerLine() {
    return Math.max(1, Math.ceil(this.cells.length / 700));
  }

  get height() {
    const lines = Math.ceil(this.cells.length / this.rowsPerLine);
    return lines * Math.max(1, Math.min(20, Math.floor(320 / Math.max(lines, 1))));
  }

  cellAt(y) {
    const row = Math.floor(((y - this.margin.top) / this.height) * Math.ceil(this.cells.length / this.rowsPerLine));
    return this.cells[row * this.rowsPerLine];
  }

  // One pixel per bin and line, in colours from white to dark blue; grey where nothing is predicted.
  picture() {
    const data = this.source.data, n = data.n_bins, per = this.rowsPerLine;
    const lines = Math.max(Math.ceil(this.cells.length / per), 1);
    const colours = Array.from({ length: 256 }, (_, i) => this.colour(Math.pow(i / 255, 0.75)));
    const image = new ImageData(n, lines), highest = new Float32Array(n);
    for (let line = 0; line < lines; line++) {
      highest.fill(-1);
      for (let row = line * per; row < Math.min(line * per + per, this.cells.length); row++) {
        const cell = this.cells[row], numbers = this.source.binNumbers(cell, 2);
        const scale = (data.ranges[cell][2] * data.rate_hz) / 254 / this.most;
        for (let bin = 0; bin < n; bin++) {
          if (numbers[bin]) highest[bin] = Math.max(highest[bin], (numbers[bin] - 1) * scale);
        }
      }
      for (let bin = 0; bin < n; bin++) {
        const colour = highest[bin] < 0 ? [226, 230, 235] : colours[Math.round(255 * Math.min(highest[bin], 1))];
        const at = 4 * (line * n + bin);
        for (let i = 0; i < 3; i++) image.data[at + i] = colour[i];
        image.data[at + 3] = 255;
      }
    }
    const canvas = document.createElement("canvas");
    canvas.width = n;
    canvas.height = lines;
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }

  colour(part) {
    const stops = [[255, 255, 255], [158, 197, 226], [8, 48, 107]];
    const at = part < 0.5 ? 0 : 1, rest = 2 * part - at;
    return [0, 1, 2].map((i) => Math.round(stops[at][i] + rest * (stops[at + 1][i] - stops[at][i])));
  }

  draw() {
    const width = this.element.clientWidth, m = this.margin, data = this.source.data;
    if (!width) return;
    this.width = width;
    const height = m.top + this.height + m.bottom, ratio = devicePixelRatio || 1;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    this.canvas.style.height = height + "px";
    const ctx = this.canvas.getContext("2d");
    ctx.scale(ratio, ratio);
    ctx.font = "14px system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif";
    const inner = width - m.left - m.right;
    ctx.imageSmoothingEnabled = false;
    const drawn = (inner * (data.n_bins * data.frames_per_bin)) / data.n_frames;
    ctx.save();
    ctx.beginPath();
    ctx.rect(m.left, m.top, inner, this.height);
    ctx.clip();
    if (this.cells.length) ctx.drawImage(this.drawn, m.left, m.top, drawn, this.height);
    ctx.restore();
    ctx.strokeStyle = "#c6ced6";
    ctx.strokeRect(m.left - 0.5, m.top - 0.5, inner + 1, this.height + 1);
    this.population(ctx, inner, drawn);
    this.axes(ctx, inner);
    const words = `Raster of ${this.cells.length} cells over ${Math.round(data.n_frames / data.rate_hz)} s`;
    this.canvas.setAttribute("aria-label", words);
  }

  population(ctx, inner, drawn) {
    const m = this.margin, values = this.source.data.population_hz, bottom = m.top - 14, top = 14;
    const most = Math.max(...values.map((value) => value || 0), 1e-6);
    ctx.strokeStyle = "#c8500a";
    ctx.lineWidth = 1.4;
    ctx.beginPath();
    let isDown = false;
    values.forEach((value, i) => {
      const x = m.left + (drawn * (i + 0.5)) / values.length;
      if (value === null) {
        isDown = false;
        return;
      }
      const y = bottom - ((bottom - top) * value) / most;
      if (isDown) ctx.lineTo(x, y);
      else ctx.moveTo(x, y);
      isDown = true;
    });
    ctx.stroke();
    ctx.fillStyle = "#56616e";
    ctx.textAlign = "right";
    ctx.fillText(Cascade.short(most), m.left - 8, top + 5);
    ctx.fillText("0", m.left - 8, bottom + 4);
    ctx.save();
    ctx.translate(16, (top + bottom) / 2);
    ctx.rotate(-Math.PI / 2);
    ctx.textAlign = "center";
    ctx.fillText("mean Hz", 0, 0);
    ctx.restore();
  }

  axes(ctx, inner) {
    const m = this.margin, data = this.source.data, total = data.n_frames / data.rate_hz;
    const bottom = m.top + this.height;
    const isLong = total > 240, unit = isLong ? 60 : 1;
    const rough = total / unit / 8, power = Math.pow(10, Math.floor(Math.log10(rough)));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
    ctx.fillStyle = "#56616e";
    ctx.strokeStyle = "#8b96a2";
    ctx.lineWidth = 1;
    ctx.textAlign = "center";
    for (let value = 0; value * unit <= total + 1e-9; value += step) {
      const x = m.left + (inner * value * unit) / total;
      ctx.beginPath();
      ctx.moveTo(x, bottom);
      ctx.lineTo(x, bottom + 5);
      ctx.stroke();
      ctx.fillText(String(Number(value.toFixed(6))), x, bottom + 20);
    }
    ctx.fillText(isLong ? "time (min)" : "time (s)", m.left + inner / 2, bottom + 42);
    ctx.save();
    ctx.translate(16, m.top + this.height / 2);
    ctx.rotate(-Math.PI / 2);
    ctx.fillText("cells", 0, 0);
    ctx.restore();
  }

  words() {
    const data = this.source.data, per = this.rowsPerLine, bin_s = data.frames_per_bin / data.rate_hz;
    const bins = data.frames_per_bin > 1
      ? `Each point is the highest rate within ${Cascade.short(bin_s)} s, so that no peak is lost`
      : "Each point is one frame";
    const rows = per > 1 ? `, and each row the highest of ${per} cells` : "";
    return `${bins}${rows}. White: no spikes; darkest: ${Cascade.short(this.most)} Hz or more; grey: no prediction. ` +
      "Above: the mean over all cells. Click a row to see the cell.";
  }
};

"use strict";
// dF/F and inferred rate of one cell, one above the other, on one axis of time.
(function () {
  const INK = "#1d2530", FAINT = "#56616e", GRID = "#e6eaee", DFF = "#1f5a8a", RATE = "#c8500a", OUT = "#dfe3e8";
  const FONT = '14px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif';
  let viewers = 0;

  // Seconds; in long recordings minutes and seconds.
  function clock(seconds, isLong) {
    if (!isLong) return String(Number(seconds.toFixed(3)));
    const minutes = Math.floor(seconds / 60 + 1e-9);
    const rest = String(Number((seconds - 60 * minutes).toFixed(2)));
    return minutes + ":" + (rest.split(".")[0].length < 2 ? "0" : "") + rest;
  }

  function bounds(lists) {
    let low = Infinity, high = -Infinity;
    for (const list of lists) {
      for (const value of list) {
        if (value !== null && value < low) low = value;
        if (value !== null && value > high) high = value;
      }
    }
    return low > high ? [0, 1] : low === high ? [low - 0.5, high + 0.5] : [low, high];
  }

  Cascade.Viewer = class {
    constructor(element, source, options) {
      this.element = element;
      this.source = source;
      this.compact = Boolean(options && options.compact);
      this.key = "cascade-" + viewers++;
      this.plots = [];
      this.range = null;
      this.cell = null;
      new ResizeObserver(() => this.resize()).observe(element);
    }

    show(cell, range) {
      this.cell = cell;
      this.duration = this.source.duration(cell);
      this.range = range || this.range || [0, this.duration];
      if (this.range[1] > this.duration + 1e-6 || this.range[0] >= this.duration) this.range = [0, this.duration];
      this.plots.forEach((plot) => plot.destroy());
      const found = this.source.traces(cell);
      const data = this.source.data;
      this.plots = [this.plot(found.time, found.dff, data.unit, DFF, (data.true_spikes || {})[cell], !found.rate)];
      if (found.rate) {
        this.plots.push(this.plot(found.time, [found.rate], "rate (Hz)", RATE, (data.spikes || {})[cell], true));
      }
    }

    plot(time, lists, label, colour, spikes, isLast) {
      const isRate = colour === RATE, isLong = this.duration > 240;
      let [low, high] = bounds(lists);
      if (isRate) [low, high] = [0, Math.max(high, 0.1)];
      const span = high - low;
      const range = [low - (spikes ? 0.16 : isRate ? 0 : 0.03) * span, high + 0.05 * span];
      const line = { stroke: colour, width: 1.3, points: { show: false } };
      const series = [{}, ...lists.map(() => ({ ...line }))];
      if (isRate) series[1].fill = "rgba(200, 80, 10, 0.18)";
      const axis = { stroke: FAINT, font: FONT, grid: { stroke: GRID, width: 1 }, ticks: { stroke: GRID, width: 1 } };
      const height = this.compact ? (isRate ? 92 : 132) : isRate ? 150 : 230;
      return new uPlot(
        {
          width: Math.max(this.element.clientWidth, 200),
          height: height + (isLast ? 46 : 0),
          padding: [8, 22, 0, 0],
          legend: { show: false },
          cursor: { sync: { key: this.key, scales: ["x", null] }, y: false, points: { show: false } },
          scales: {
            x: { time: false, min: this.range[0], max: this.range[1] },
            y: { range: () => range },
          },
          series,
          bands: lists.length > 1 ? [{ series: [2, 1], fill: "rgba(31, 90, 138, 0.28)" }] : [],
          axes: [
            {
              ...axis,
              show: isLast,
              space: isLong ? 70 : 50,
              incrs: [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200],
              size: 30,
              label: isLong ? "time (min:s)" : "time (s)",
              labelFont: FONT,
              labelSize: 20,
              values: (u, splits) => splits.map((value) => clock(value, isLong)),
            },
            { ...axis, size: 62, label, labelFont: FONT, labelSize: 22, space: this.compact ? 26 : 34,
              values: (u, splits) => splits.map((value) => (isRate && value < 0 ? "" : String(Number(value.toFixed(4))))) },
          ],
          hooks: {
            setScale: [(u, key) => key === "x" && this.follow(u)],
            drawClear: [(u) => this.shade(u)],
            draw: [(u) => spikes && this.ticks(u, spikes)],
          },
        },
        [time, ...lists],
        this.element
      );
    }

    follow(plot) {
      const { min, max } = plot.scales.x;
      this.element.dataset.shown = min.toFixed(2) + " to " + max.toFixed(2) + " s";
      if (min === this.range[0] && max === this.range[1]) return;
      this.range = [min, max];
      this.plots.forEach((each) => each !== plot && each.setScale("x", { min, max }));
    }

    // Frames that are left out or dropped, and ends of segments.
    shade(u) {
      const { ctx, bbox } = u;
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      ctx.fillStyle = OUT;
      for (const [begin, end] of this.source.data.left_out || []) {
        const left = u.valToPos(begin, "x", true), right = u.valToPos(end, "x", true);
        if (right >= bbox.left && left <= bbox.left + bbox.width) {
          ctx.fillRect(left, bbox.top, Math.max(right - left, 1), bbox.height);
        }
      }
      ctx.strokeStyle = RATE;
      ctx.setLineDash([6, 5]);
      for (const border of this.source.data.borders_s || []) {
        const x = u.valToPos(border, "x", true);
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
      }
      ctx.restore();
    }

    ticks(u, spikes) {
      const { ctx, bbox } = u;
      const tall = bbox.height * 0.11, bottom = bbox.top + bbox.height - 2;
      ctx.save();
      ctx.strokeStyle = INK;
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.beginPath();
      for (const time of spikes) {
        const x = u.valToPos(time, "x", true);
        if (x < bbox.left || x > bbox.left + bbox.width) continue;
        ctx.moveTo(x, bottom - tall);
        ctx.lineTo(x, bottom);
      }
      ctx.stroke();
      ctx.restore();
    }

    resize() {
      const width = Math.max(this.element.clientWidth, 200);
      this.plots.forEach((plot) => plot.width !== width && plot.setSize({ width, height: plot.height }));
    }

    zoom(factor) {
      const [low, high] = this.range, middle = (low + high) / 2;
      const half = Math.min(Math.max(((high - low) * factor) / 2, 0.25), this.duration / 2);
      this.to(middle - half, middle + half);
    }

    move(part) {
      const step = part * (this.range[1] - this.range[0]);
      this.to(this.range[0] + step, this.range[1] + step);
    }

    to(low, high) {
      const span = Math.min(high - low, this.duration);
      const begin = Math.min(Math.max(low, 0), this.duration - span);
      this.range = [begin, begin + span];
      this.plots.forEach((plot) => plot.setScale("x", { min: begin, max: begin + span }));
    }
  };
})();

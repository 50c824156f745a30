"use strict";
// Traces from the text in the page: see packing.py. 0 is a missing value, 1 the lowest of a trace, the greatest number
// its highest.
const Cascade = {};

Cascade.bytes = function (name) {
  const element = document.getElementById("block-" + name);
  const text = element ? atob(element.textContent.trim()) : "";
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
};

Cascade.unpack = function (numbers, low, high, greatest, factor) {
  const step = (high - low) / (greatest - 1);
  const values = new Array(numbers.length);
  for (let i = 0; i < numbers.length; i++) {
    values[i] = numbers[i] === 0 ? null : (low + (numbers[i] - 1) * step) * factor;
  }
  return values;
};

// What a viewer shows: one trace at a time, in full where it is there, else in bins.
Cascade.Source = class {
  constructor(data, details, bins) {
    this.data = data;
    this.details = details;
    this.bins = bins || new Uint8Array(0);
  }

  rate(cell) {
    return this.data.rates_hz ? this.data.rates_hz[cell] : this.data.rate_hz;
  }

  duration(cell) {
    const frames = this.data.n_frames || this.data.details[cell].n; // ground truth: what is shown of it
    return frames / this.rate(cell);
  }

  isFull(cell) {
    return this.data.details[cell] !== undefined;
  }

  traces(cell) {
    return this.isFull(cell) ? this.full(cell) : this.inBins(cell);
  }

  full(cell) {
    const at = this.data.details[cell];
    const rate = this.rate(cell);
    const part = (start, range, factor) =>
      Cascade.unpack(new Uint16Array(this.details.buffer, start, at.n), range[0], range[1], 65535, factor);
    const time = Array.from({ length: at.n }, (_, i) => (at.start + i) / rate);
    const found = { time, dff: [part(at.at, at.dff, 1)], rate: null };
    if (at.prob) found.rate = part(at.at + 2 * at.n, at.prob, rate);
    return found;
  }

  inBins(cell) {
    const n = this.data.n_bins;
    const size = this.data.frames_per_bin;
    const rate = this.rate(cell);
    const [low, high, most] = this.data.ranges[cell];
    const part = (which, lowest, highest, factor) =>
      Cascade.unpack(this.binNumbers(cell, which), lowest, highest, 255, factor);
    const middle = (i) => (i * size + (Math.min((i + 1) * size, this.data.n_frames) - i * size - 1) / 2) / rate;
    return {
      time: Array.from({ length: n }, (_, i) => middle(i)),
      dff: [part(0, low, high, 1), part(1, low, high, 1)],
      rate: part(2, 0, most, rate),
    };
  }

  // Numbers of the bins of a cell: 0 lowest dF/F, 1 highest dF/F, 2 highest expected spikes per frame.
  binNumbers(cell, which) {
    const n = this.data.n_bins;
    return this.bins.subarray((3 * cell + which) * n, (3 * cell + which + 1) * n);
  }
};

Cascade.short = function (value, digits) {
  return value === null || value === undefined ? "–" : String(Number(value.toPrecision(digits || 2)));
};

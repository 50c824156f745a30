"use strict";
// Puts viewers, raster and table into the page, and connects them with buttons and keys.
(function () {
  const data = JSON.parse(document.getElementById("page-data").textContent);
  const source = new Cascade.Source(data, Cascade.bytes("details"), Cascade.bytes("bins"));
  const at = (id) => document.getElementById(id);
  const make = (tag, text, className) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  };

  function about(cell) {
    const parts = [data.cells[cell]];
    if ((data.not_cells || []).includes(cell)) parts.push("no cell, by the container");
    if (data.noise && data.noise[cell] !== null) parts.push("noise level " + Cascade.short(data.noise[cell]));
    if (data.mean_hz && data.mean_hz[cell] !== null) parts.push("mean rate " + Cascade.short(data.mean_hz[cell]) + " Hz");
    if (data.guarded && data.guarded[cell]) parts.push(`F0 below the noise in ${data.guarded[cell]} frames`);
    if (data.n_spikes && data.n_spikes.length) parts.push(`${data.n_spikes[cell]} discrete spikes`);
    if (data.notes && data.notes[cell]) parts.push(data.notes[cell]);
    return parts.join(" · ");
  }

  function resolution(cell) {
    const full = data.details[cell];
    if (!full) {
      const bin_s = Cascade.short(data.frames_per_bin / data.rate_hz);
      return `Shown in bins of ${bin_s} s: lowest and highest dF/F, and highest rate, of each bin. No peak is lost.`;
    }
    const n = data.n_frames_of ? data.n_frames_of[cell] : data.n_frames;
    if (full.n === n) return "All frames are shown.";
    const times = [full.start, full.start + full.n, n].map((frame) => Math.round(frame / source.rate(cell)));
    return `Shown are ${times[0]} to ${times[1]} s of ${times[2]} s, every frame of them.`;
  }

  // The viewer of any cell.
  const root = at("viewer");
  const role = (name) => root.querySelector(`[data-role="${name}"]`);
  const viewer = new Cascade.Viewer(role("plots"), source);
  const select = role("cell");
  let group = null;
  data.cells.forEach((name, cell) => {
    let place = select;
    if (data.groups) {
      if (!group || group.label !== data.groups[cell]) {
        group = make("optgroup");
        group.label = data.groups[cell];
        select.append(group);
      }
      place = group;
    }
    const without = data.reasons && data.reasons[cell] !== undefined;
    const option = make("option", without ? `${name} (no prediction)` : name);
    option.value = cell;
    place.append(option);
  });

  function choose(cell, range) {
    if (cell < 0 || cell >= data.cells.length) return;
    viewer.show(cell, range);
    select.value = cell;
    const status = role("status");
    status.replaceChildren(make("strong", about(cell)), document.createTextNode(". " + resolution(cell)));
    const reason = data.reasons && data.reasons[cell];
    if (reason !== undefined) status.append(" ", make("span", "No prediction: " + reason + ".", "reason"));
    root.querySelectorAll("[data-cell]").forEach((button) => {
      button.setAttribute("aria-pressed", String(Number(button.dataset.cell) === cell));
    });
  }

  (data.picks || []).forEach((pick) => {
    const button = make("button", pick.title);
    button.type = "button";
    button.dataset.cell = pick.cell;
    button.addEventListener("click", () => choose(pick.cell));
    role("picks").append(button);
  });
  const actions = {
    previous: () => choose(viewer.cell - 1),
    next: () => choose(viewer.cell + 1),
    left: () => viewer.move(-0.25),
    right: () => viewer.move(0.25),
    closer: () => viewer.zoom(0.5),
    further: () => viewer.zoom(2),
    all: () => viewer.to(0, viewer.duration),
  };
  root.querySelectorAll("[data-do]").forEach((button) => {
    button.addEventListener("click", () => actions[button.dataset.do]());
  });
  select.addEventListener("change", () => choose(Number(select.value)));
  const keys = { ArrowLeft: "left", ArrowRight: "right", "+": "closer", "=": "closer", "-": "further", 0: "all",
    ArrowUp: "previous", ArrowDown: "next" };
  role("plots").addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    actions[keys[event.key]]();
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === "n") actions.next();
    if (event.key === "p") actions.previous();
  });

  function legend(element, entries) {
    entries.forEach(([colour, text]) => {
      const mark = make("i");
      mark.style.background = colour;
      element.append(mark, text);
    });
  }
  const entries = [["#1f5a8a", data.unit]];
  if (data.kind === "recording") entries.push(["#c8500a", "inferred rate"]);
  if (data.true_spikes) entries.push(["#1d2530", "true spikes"]);
  if (data.n_spikes && data.n_spikes.length) entries.push(["#1d2530", "discrete spikes"]);
  if ((data.left_out || []).length) entries.push(["#dfe3e8", "frames that are left out or dropped"]);
  legend(role("legend"), entries);

  // Three cells, and simulated neurons of the same noise.
  function small(place, from, cell, title, text, range) {
    const figure = make("div");
    const heading = make("h3", title);
    heading.append(make("small", text));
    const plots = make("div", undefined, "plots");
    plots.setAttribute("role", "img");
    plots.setAttribute("aria-label", `${title}: dF/F and inferred rate`);
    figure.append(heading, plots);
    place.append(figure);
    new Cascade.Viewer(plots, from, { compact: true }).show(cell, range);
  }
  const picks = at("picks");
  if (picks) {
    (data.picks || []).forEach((pick) => {
      small(picks, source, pick.cell, pick.title, about(pick.cell), [pick.from_s, pick.to_s]);
    });
    if (!(data.picks || []).length) picks.append(make("p", "No ROI has a prediction."));
  }
  const examples = at("examples");
  if (examples && data.examples) {
    const simulated = new Cascade.Source(data.examples, Cascade.bytes("examples"));
    data.examples.cells.forEach((name, cell) => {
      small(examples, simulated, cell, name, "marks: its true spikes", [0, simulated.duration(cell)]);
    });
  }

  // Population.
  const raster = at("raster");
  if (raster) {
    const drawn = new Cascade.Raster(raster, source, (cell) => {
      choose(cell);
      at("any").scrollIntoView();
    });
    const say = () => (at("raster-words").textContent = drawn.words());
    at("raster-order").addEventListener("change", (event) => {
      drawn.order(event.target.value);
      say();
    });
    say();
  }

  // All cells as a table, made when it is opened.
  const all = at("all-cells");
  if (all) {
    const columns = [
      ["cell", (cell) => cell],
      ["noise level", (cell) => data.noise[cell]],
      ["mean rate (Hz)", (cell) => data.mean_hz[cell]],
      ["frames with F0 below the noise", (cell) => data.guarded[cell] || 0],
      ["without prediction", (cell) => data.reasons[cell] || ""],
    ];
    let sorted = { column: 0, up: true };
    const fill = () => {
      const value = columns[sorted.column][1];
      const order = data.cells.map((_, cell) => cell).sort((a, b) => {
        const x = value(a), y = value(b);
        if (x === null || y === null) return (x === null) - (y === null) || a - b;
        return (x < y ? -1 : x > y ? 1 : 0) * (sorted.up ? 1 : -1) || a - b;
      });
      const table = make("table"), head = make("tr"), body = make("tbody");
      columns.forEach(([name], column) => {
        const th = make("th"), button = make("button", name, "plain");
        th.scope = "col";
        if (sorted.column === column) th.setAttribute("aria-sort", sorted.up ? "ascending" : "descending");
        button.type = "button";
        button.addEventListener("click", () => {
          sorted = { column, up: sorted.column === column ? !sorted.up : true };
          fill();
        });
        th.append(button);
        head.append(th);
      });
      order.forEach((cell) => {
        const tr = make("tr"), th = make("th"), button = make("button", data.cells[cell], "plain");
        th.scope = "row";
        button.type = "button";
        button.addEventListener("click", () => {
          choose(cell);
          root.scrollIntoView();
        });
        th.append(button);
        tr.append(th);
        tr.append(make("td", Cascade.short(data.noise[cell], 3)), make("td", Cascade.short(data.mean_hz[cell], 3)));
        tr.append(make("td", String(data.guarded[cell] || "")), make("td", data.reasons[cell] || ""));
        body.append(tr);
      });
      const thead = make("thead");
      thead.append(head);
      table.append(thead, body);
      all.querySelector('[data-role="table"]').replaceChildren(table);
    };
    all.addEventListener("toggle", () => all.open && fill(), { once: true });
  }

  const first = (data.picks || [])[1] || (data.picks || [])[0];
  if (data.cells.length) choose(first ? first.cell : 0, first ? [first.from_s, first.to_s] : undefined);
  document.documentElement.dataset.ready = "true";
})();

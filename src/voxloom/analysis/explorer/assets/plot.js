/* The scatter: drawn from what the server sends, asked by mouse and keys, marked and highlighted here.
   One plotly.js plot in #plot, driven directly: Dash's own graph would draw 100,000 points anew after each pan. */
(function () {
  "use strict";

  const CONFIG = { displayModeBar: false, scrollZoom: true, doubleClick: false, responsive: false, showTips: false };
  const TYPES = { f4: Float32Array, i4: Int32Array };
  const AXES = ["x", "y", "z"];
  const plot = { figure: null, place: null, hidden: new Map(), tool: "pan", busy: false, shift: false, saved: {} };
  window.voxloomPlot = plot;

  const element = () => document.getElementById("plot");
  const set = (id, props) => window.dash_clientside.set_props(id, props);

  function unpacked(spec) {
    if (!spec || spec.bdata === undefined) return spec; // of no points it is empty
    const text = atob(spec.bdata);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return new TYPES[spec.dtype](bytes.buffer);
  }

  /* Where each row is drawn: [trace, place in it]. */
  function places(traces) {
    const found = new Map();
    traces.forEach((trace, i) => trace.customdata.forEach((row, j) => found.set(row, [i, j])));
    return found;
  }

  function hiddenNames(field) {
    if (!plot.hidden.has(field)) plot.hidden.set(field, new Set());
    return plot.hidden.get(field);
  }

  plot.at = function (row) {
    const place = plot.place && plot.place.get(row);
    if (!place) return null;
    const trace = plot.figure.data[place[0]];
    return AXES.filter((axis) => trace[axis]).map((axis) => trace[axis][place[1]]);
  };

  plot.draw = async function (sent) {
    const figure = { data: sent.data.map((trace) => ({ ...trace, marker: { ...trace.marker } })), layout: structuredClone(sent.layout) };
    const gone = hiddenNames(figure.layout.meta.field);
    for (const trace of figure.data) {
      for (const axis of [...AXES, "customdata"]) if (trace[axis]) trace[axis] = unpacked(trace[axis]);
      trace.marker.color = unpacked(trace.marker.color);
      trace.visible = !gone.has(trace.name);
    }
    const dims = figure.layout.meta.dims;
    if (dims === 3) figure.data.push(line3d(figure.layout.meta.ink));
    if (dims === 3) plot.eye = { ...sent.layout.scene.camera.eye };
    figure.layout.dragmode = dims === 3 ? "orbit" : plot.tool;
    keepView(figure.layout);
    plot.figure = figure;
    plot.place = places(figure.data.filter((trace) => trace.customdata));
    document.getElementById("empty").hidden = plot.place.size > 0;
    document.getElementById("empty").textContent = "No point passes the filter.";
    plot.busy = true; // what is deselected by drawing was not deselected by a person
    await window.Plotly.react(element(), figure.data, figure.layout, CONFIG);
    plot.busy = false;
    listen();
    drawLegend();
    showTool();
    element().dataset.key = figure.layout.meta.key;
    element().dataset.drawn = String(Number(element().dataset.drawn || 0) + 1);
  };

  /* The view stays as long as the projection does, whatever moved it. */
  function keepView(layout) {
    const full = element()._fullLayout;
    if (!plot.figure) return oldView(layout);
    if (!full || plot.figure.layout.meta.key !== layout.meta.key) return;
    if (layout.meta.dims === 3) layout.scene.camera = full.scene._scene.getCamera();
    else for (const name of ["xaxis", "yaxis"]) layout[name].range = [...full[name].range];
  }

  /* What a page that was opened again shows: the part of the plot, the tool, and which names are hidden. */
  const isNumbers = (all, count) => Array.isArray(all) && all.length === count && all.every(Number.isFinite);

  function oldView(layout) {
    const { key, ranges, camera } = plot.saved;
    if (key !== layout.meta.key) return;
    if (layout.meta.dims === 3) {
      if (["eye", "center", "up"].every((name) => camera && camera[name] && isNumbers(AXES.map((axis) => camera[name][axis]), 3)))
        layout.scene.camera = camera;
    } else if (Array.isArray(ranges) && ranges.every((range) => isNumbers(range, 2)) && ranges.length === 2)
      ["xaxis", "yaxis"].forEach((name, i) => (layout[name].range = ranges[i]));
  }

  plot.restore = function (saved) {
    plot.saved = saved;
    if (["pan", "lasso", "select"].includes(saved.tool)) plot.tool = saved.tool;
    for (const pair of Array.isArray(saved.hidden) ? saved.hidden : [])
      if (Array.isArray(pair) && Array.isArray(pair[1])) plot.hidden.set(pair[0], new Set(pair[1]));
  };

  function save() {
    const full = element()._fullLayout;
    if (!plot.figure || !full) return;
    const { key, dims } = plot.figure.layout.meta;
    const view = dims === 3 ? { camera: full.scene._scene.getCamera() } : { ranges: [full.xaxis.range, full.yaxis.range] };
    const hidden = [...plot.hidden].map(([field, names]) => [field, [...names]]);
    window.voxloomPage.keepView({ key, ...view, tool: plot.tool, hidden });
  }

  const line3d = (ink) => ({
    type: "scatter3d", mode: "lines+markers+text", x: [], y: [], z: [], text: [], hoverinfo: "skip", name: "",
    line: { color: ink, width: 3 }, marker: { size: 9, symbol: "circle-open", color: ink, line: { width: 2 } },
    textfont: { size: 14 }, textposition: "top center",
  });

  /* Events, once the plot is there. */
  function listen() {
    const gd = element();
    if (plot.listens) return;
    plot.listens = true;
    gd.on("plotly_relayout", save);
    for (const name of ["plotly_relayouting", "plotly_afterplot"]) gd.on(name, drawMarks);
    gd.on("plotly_click", (event) => plot.pick(rowOf(event), event.event && event.event.shiftKey));
    gd.on("plotly_hover", (event) => window.voxloomPage.tip(rowOf(event), event.event, event.points[0]));
    gd.on("plotly_unhover", () => window.voxloomPage.tip(null));
    gd.on("plotly_selecting", () => window.voxloomPage.tip(null));
    gd.on("plotly_selected", selected);
    gd.on("plotly_deselect", () => plot.busy || set("lasso", { data: [] }));
    gd.on("plotly_doubleclick", () => (plot.tool === "pan" ? reset() : set("lasso", { data: [] })));
    new ResizeObserver(() => window.Plotly.Plots.resize(gd)).observe(gd);
    for (const name of ["mousedown", "mouseup"])
      document.addEventListener(name, (event) => (plot.shift = event.shiftKey), true);
  }

  function rowOf(event) {
    const point = event.points[0];
    const trace = plot.figure.data[point.curveNumber];
    return trace.customdata ? trace.customdata[point.pointNumber] : null;
  }

  function selected(event) {
    if (plot.busy || !event || !event.points) return;
    const old = plot.shift && plot.lasso ? plot.lasso : [];
    const rows = new Set(old);
    for (const point of event.points) rows.add(plot.figure.data[point.curveNumber].customdata[point.pointNumber]);
    set("lasso", { data: [...rows].sort((a, b) => a - b) });
    if (rows.size) set("tab", { value: "selection" });
  }

  /* A lasso or box may begin in the margin, beside the axes: it begins at the nearest place of the plot. */
  document.addEventListener("mousedown", (event) => {
    const flat = plot.figure && plot.figure.layout.meta.dims === 2;
    const area = element() && element().querySelector(".nsewdrag");
    if (!flat || plot.tool === "pan" || event.button || !area || event.target === area || !element().contains(event.target)) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    const box = area.getBoundingClientRect();
    const within = (value, low, high) => Math.min(Math.max(value, low + 1), high - 1);
    const place = { clientX: within(event.clientX, box.left, box.right), clientY: within(event.clientY, box.top, box.bottom) };
    area.dispatchEvent(new MouseEvent("mousedown", { ...place, bubbles: true, cancelable: true, view: window, buttons: 1, shiftKey: event.shiftKey }));
  }, true);

  /* A click chooses a point; with Shift, or armed by the button, a second one. */
  plot.pick = function (row, second) {
    if (row === null || row === undefined) return;
    const first = plot.picked && plot.picked[0];
    const pair = (second || plot.armed) && first !== undefined && first !== row;
    arm(false);
    plot.picked = pair ? [first, row] : [row];
    set("picked", { data: plot.picked });
    // Under way while the details are made, which name the same address.
    if (!pair) new Image().src = `/image/${row}?v=${document.getElementById("page").dataset.version}`;
    set("tab", { value: "points" });
  };

  function arm(on) {
    plot.armed = on;
    document.body.classList.toggle("armed", on);
    document.getElementById("arm").setAttribute("aria-pressed", String(on));
  }

  plot.mark = async function (picked) {
    plot.picked = picked || [];
    if (!plot.figure) return;
    const spots = plot.picked.map((row) => plot.at(row));
    if (plot.figure.layout.meta.dims === 3) return mark3d(spots);
    drawMarks();
    element().dataset.marks = String(spots.filter(Boolean).length);
  };

  /* Rings and numbers round the chosen points, and the line between two. In a picture of its own above the plot:
     drawn by plotly they would have the canvas of all points drawn again with each click. */
  function drawMarks() {
    const box = marks(), full = element()._fullLayout;
    if (!plot.figure || plot.figure.layout.meta.dims === 3 || !full || !full.xaxis) return box.replaceChildren();
    const { xaxis, yaxis } = full, { ink, page } = plot.figure.layout.meta;
    const place = { left: element().offsetLeft + xaxis._offset, top: element().offsetTop + yaxis._offset };
    Object.assign(box.style, { left: `${place.left}px`, top: `${place.top}px`, width: `${xaxis._length}px`, height: `${yaxis._length}px` });
    const spots = (plot.picked || []).map((row, i) => [plot.at(row), i + 1]).filter(([at]) => at);
    const known = spots.map(([[x, y], number]) => [xaxis.l2p(x), yaxis.l2p(y), number]);
    const line = known.length === 2 ? [svg("line", { x1: known[0][0], y1: known[0][1], x2: known[1][0], y2: known[1][1], stroke: ink })] : [];
    const rings = known.flatMap(([x, y, number]) => [
      svg("circle", { cx: x, cy: y, r: 8, stroke: ink }),
      svg("rect", { x: x - 7, y: y - 27, width: 14, height: 15, fill: ink }),
      svg("text", { x, y: y - 15.5, fill: page }, String(number)),
    ]);
    box.replaceChildren(...line, ...rings);
  }

  function svg(name, attributes, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  }

  function marks() {
    const found = document.getElementById("marks");
    if (found) return found;
    const made = svg("svg", { id: "marks", class: "marks", "aria-hidden": "true" });
    element().after(made);
    return made;
  }

  async function mark3d(spots) {
    drawMarks(); // takes those of a plane away
    const known = spots.map((spot, i) => [spot, String(i + 1)]).filter(([spot]) => spot);
    const last = plot.figure.data.length - 1;
    const of = (i) => known.map(([spot]) => spot[i]);
    await window.Plotly.restyle(element(), { x: [of(0)], y: [of(1)], z: [of(2)], text: [known.map((k) => k[1])] }, [last]);
    element().dataset.marks = String(known.length);
  }

  /* The selection is a set of points, not an outline: it stays under another projection, colour or filter. */
  plot.highlight = async function (rows) {
    plot.lasso = rows || [];
    if (!plot.figure || plot.figure.layout.meta.dims === 3) return;
    const chosen = new Set(plot.lasso);
    const had = plot.highlighted;
    plot.highlighted = chosen.size > 0;
    const outlines = (element().layout.selections || []).length > 0;
    if (!plot.highlighted && !had && !outlines) return;
    const each = plot.figure.data.map((trace) => {
      if (!chosen.size) return null;
      const inside = [];
      trace.customdata.forEach((row, i) => chosen.has(row) && inside.push(i));
      return inside;
    });
    plot.busy = true;
    await window.Plotly.update(element(), { selectedpoints: each }, { selections: [] });
    plot.busy = false;
    element().dataset.selected = String(plot.lasso.length);
  };

  /* Legend: buttons that show and hide; a double click shows one alone, or all again. */
  const GLYPHS = {
    circle: '<circle cx="6" cy="6" r="4.4"/>', square: '<rect x="1.8" y="1.8" width="8.4" height="8.4"/>',
    diamond: '<path d="M6 .8 11.2 6 6 11.2 .8 6Z"/>', "triangle-up": '<path d="M6 1.2 11 10H1Z"/>',
    "triangle-down": '<path d="M6 10.8 1 2h10Z"/>', pentagon: '<path d="M6 1 11 4.7 9.1 10.6H2.9L1 4.7Z"/>',
    star: '<path d="M6 .6 7.6 4.3l4 .4-3 2.6.9 3.9L6 9.1l-3.5 2.1.9-3.9-3-2.6 4-.4Z"/>',
    cross: '<path d="M4.4 1h3.2v3.4H11v3.2H7.6V11H4.4V7.6H1V4.4h3.4Z"/>',
    x: '<path d="M3 1 6 4l3-3 2 2-3 3 3 3-2 2-3-3-3 3-2-2 3-3-3-3Z"/>',
  };

  function glyph(marker) {
    const open = marker.symbol.endsWith("-open");
    const shape = GLYPHS[marker.symbol.replace("-open", "")] || GLYPHS.circle;
    const style = open ? `fill="none" stroke="${marker.color}" stroke-width="1.8"` : `fill="${marker.color}"`;
    return `<svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true" ${style}>${shape}</svg>`;
  }

  /* One entry a name, whatever its groups; how these differ is told below. */
  function drawLegend() {
    const box = document.getElementById("legend");
    const traces = plot.figure.data.filter((trace) => trace.customdata);
    const names = [...new Set(traces.map((trace) => trace.name))];
    const parts = names.map((name) => traces.filter((trace) => trace.name === name));
    box.replaceChildren(...parts.map((part) => (part[0].meta.colours ? ramp(part[0]) : entry(part))), ...shapes());
  }

  function shapes() {
    const { groups, ink } = plot.figure.layout.meta;
    return (groups || []).map(({ name, symbol }) => {
      const line = document.createElement("div");
      line.className = "entry shape";
      line.innerHTML = `${glyph({ symbol, color: ink })}<span class="name"></span>`;
      line.lastChild.textContent = line.title = name;
      return line;
    });
  }

  function ramp(trace) {
    const box = document.createElement("div");
    const { low, high, colours } = trace.meta;
    box.className = "ramp";
    box.innerHTML = `<div style="background:linear-gradient(to right,${colours.join(",")})"></div><span></span><span></span>`;
    const written = (value) =>
      value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e7) ? value.toExponential(2)
        : value.toLocaleString("en", { maximumSignificantDigits: 4 });
    box.children[1].textContent = written(low);
    box.children[2].textContent = written(high);
    return box;
  }

  function entry(part) {
    const [trace] = part;
    const count = part.reduce((sum, each) => sum + each.meta.count, 0);
    const button = document.createElement("button");
    button.type = "button";
    button.className = "entry";
    button.innerHTML = `${glyph({ ...trace.marker, symbol: trace.meta.symbol })}<span class="name"></span><span class="many"></span>`;
    button.querySelector(".name").textContent = trace.name;
    button.querySelector(".many").textContent = count.toLocaleString("en");
    button.dataset.name = trace.name;
    button.setAttribute("aria-pressed", String(trace.visible !== false));
    button.title = `${trace.name}: click to hide or show, double click to show it alone`;
    button.onclick = (event) => toggle(trace.name, event.detail > 1);
    return button;
  }

  function toggle(name, alone) {
    const gone = hiddenNames(plot.figure.layout.meta.field);
    const traces = plot.figure.data.filter((trace) => trace.customdata && !trace.meta.colours);
    const others = traces.map((trace) => trace.name).filter((each) => each !== name);
    if (alone) {
      const isAlone = plot.alone === name;
      gone.clear();
      plot.alone = isAlone ? null : name;
      if (!isAlone) others.forEach((each) => gone.add(each));
    } else if (!gone.delete(name)) gone.add(name);
    traces.forEach((trace) => (trace.visible = !gone.has(trace.name)));
    const all = plot.figure.data.map((trace) => trace.visible !== false);
    window.Plotly.restyle(element(), { visible: all });
    save();
    for (const child of document.querySelectorAll("#legend button"))
      child.setAttribute("aria-pressed", String(!gone.has(child.dataset.name)));
  }

  /* Tools and keys. */
  function showTool() {
    const flat = plot.figure && plot.figure.layout.meta.dims === 2;
    for (const button of document.querySelectorAll("[data-tool]")) {
      const name = button.dataset.tool;
      const drags = ["pan", "lasso", "select"].includes(name);
      if (drags) button.setAttribute("aria-pressed", String(flat ? plot.tool === name : name === "pan"));
      button.disabled = !flat && (name === "lasso" || name === "select");
      button.dataset.hint = button.dataset.hint || button.title;
      button.title = button.disabled ? "Points are selected in 2D: change to it above the methods" : button.dataset.hint;
    }
    element().dataset.tool = flat ? plot.tool : "pan";
  }

  function use(name) {
    if (!plot.figure) return;
    if (name === "in" || name === "out") return zoom(name === "in" ? 0.7 : 1 / 0.7);
    if (name === "reset") return reset();
    plot.tool = name;
    if (plot.figure.layout.meta.dims === 2) window.Plotly.relayout(element(), { dragmode: name });
    showTool();
    save();
  }

  function zoom(factor) {
    const full = element()._fullLayout;
    if (plot.figure.layout.meta.dims === 3) {
      const camera = full.scene._scene.getCamera();
      const eye = Object.fromEntries(AXES.map((axis) => [axis, camera.eye[axis] * factor]));
      return window.Plotly.relayout(element(), { "scene.camera": { ...camera, eye } });
    }
    const change = {};
    for (const name of ["xaxis", "yaxis"]) {
      const [low, high] = full[name].range;
      const middle = (low + high) / 2, half = ((high - low) / 2) * factor;
      change[`${name}.range`] = [middle - half, middle + half];
    }
    return window.Plotly.relayout(element(), change);
  }

  function reset() {
    if (plot.figure.layout.meta.dims === 3)
      return window.Plotly.relayout(element(), { "scene.camera": { eye: plot.eye } });
    const [x, y] = plot.figure.layout.meta.ends;
    return window.Plotly.relayout(element(), { "xaxis.range": [...x], "yaxis.range": [...y] });
  }

  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

  /* The nearest point within 45 degrees of a direction. */
  function towards(from, [dx, dy], but) {
    let best = null, least = Infinity;
    for (const trace of plot.figure.data) {
      if (!trace.customdata || trace.visible === false) continue;
      for (let i = 0; i < trace.customdata.length; i++) {
        const ax = trace.x[i] - from[0], ay = trace.y[i] - from[1];
        const along = ax * dx + ay * dy, aside = Math.abs(ax * dy) + Math.abs(ay * dx);
        if (along <= 0 || aside > along || trace.customdata[i] === but) continue;
        const far = ax * ax + ay * ay;
        if (far < least) [best, least] = [trace.customdata[i], far];
      }
    }
    return best;
  }

  function walk(event) {
    if (!plot.figure || event.target !== element()) return;
    if (event.key === "Escape") return plot.armed ? arm(false) : set("picked", { data: (plot.picked = []) });
    if (!(event.key in STEPS)) return;
    event.preventDefault();
    const picked = plot.picked || [];
    const at = (event.shiftKey ? picked[picked.length - 1] : picked[0]);
    const from = plot.at(at) || middle();
    const next = towards(from, STEPS[event.key], event.shiftKey ? picked[0] : undefined);
    if (next !== null) plot.pick(next, event.shiftKey);
  }

  function middle() {
    const full = element()._fullLayout;
    if (!full.xaxis || plot.figure.layout.meta.dims === 3) return [0, 0];
    return [full.xaxis, full.yaxis].map((axis) => (axis.range[0] + axis.range[1]) / 2);
  }

  document.addEventListener("keydown", walk);
  document.addEventListener("click", (event) => {
    const tool = event.target.closest("[data-tool]");
    if (tool) use(tool.dataset.tool);
    if (event.target.closest("[data-arm]")) arm(!plot.armed);
    const point = event.target.closest("[data-row]");
    if (point) plot.pick(Number(point.dataset.row), event.shiftKey);
  });
})();

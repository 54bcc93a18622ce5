// The page: it takes the state of a job, from an element in a report, else by server-sent events, and shows it. What a job, a guest
// or an input says becomes the text of nodes, and nothing else.
"use strict";
(() => {

const $ = (id) => document.getElementById(id);
const report = $("state") !== null;
const token = new URLSearchParams(location.hash.slice(1)).get("token") || "";

let s = null;        // the state
let bars = [];       // of the task stream, the oldest first: [rank, slot, begin, ran, task, runs, failed, call]
let nextBar = 0;     // the number of the next one
let open = [];       // bars of what runs
let whole = false;   // charts show the whole job
let view = null;     // the time that the stream shows, [from, to] in seconds; null is the last minute
const examples = new Map(); // of failures, by the id of their group

// ---- text

const number = new Intl.NumberFormat("en");
const num = (n) => number.format(n);

function amount(n) { // a number that need not be exact
  if (n < 10000) return num(Math.round(n));
  for (const unit of ["", "k", "M", "G", "T", "P"]) {
    if (n < 1000 || unit === "P") return (n < 10 ? n.toFixed(2) : n < 100 ? n.toFixed(1) : n.toFixed(0)) + (unit && " " + unit);
    n /= 1000;
  }
}

function bytes(n) {
  if (n < 1024) return num(n) + " B";
  for (const unit of ["KiB", "MiB", "GiB", "TiB", "PiB"]) {
    n /= 1024;
    if (n < 1024 || unit === "PiB") return (n < 10 ? n.toFixed(1) : n.toFixed(0)) + " " + unit;
  }
}

function time(t) {
  if (t <= 0) return "0";
  if (t < 1e-3) return (t * 1e6).toFixed(t < 1e-5 ? 1 : 0) + " µs";
  if (t < 0.9995) return (t * 1e3).toFixed(t < 1e-2 ? 1 : 0) + " ms";
  if (t < 60) return (t < 9.95 ? t.toFixed(1) : Math.min(Math.round(t), 59)) + " s";
  const m = Math.floor(t / 60);
  if (m < 60) return m + " min" + (m < 10 ? " " + Math.floor(t % 60) + " s" : "");
  if (m < 48 * 60) return Math.floor(m / 60) + " h " + (m % 60) + " min";
  return Math.floor(m / 1440) + " d " + Math.floor((m % 1440) / 60) + " h";
}

const percent = (f) => (100 * f).toFixed(0) + " %";
const rate = (r) => r >= 100 ? amount(r) : r >= 10 ? r.toFixed(0) : r >= 0.1 || r === 0 ? r.toFixed(1) : r.toFixed(3);
const clock = (at) => new Date(at).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit", second: "2-digit"});
const day = (at) => new Date(at).toLocaleString();

// ---- elements

function el(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// rows makes the children of parent those of a list, by their keys. It makes new ones and changes old ones, so that what
// has the focus, or is open, stays.
function rows(parent, list, key, make, change) {
  const old = new Map();
  for (const child of parent.children) old.set(child.dataset.key, child);
  let at = parent.firstElementChild;
  for (const item of list) {
    const k = String(key(item));
    let child = old.get(k);
    if (child === undefined) {
      child = make(item);
      child.dataset.key = k;
    }
    old.delete(k);
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
    change(child, item);
  }
  for (const child of old.values()) child.remove();
}

// row returns a table's row of cells of these classes.
function row(classes) {
  const tr = el("tr");
  for (const c of classes) tr.append(el("td", c));
  return tr;
}

function cells(tr, texts) {
  texts.forEach((text, i) => {
    if (text === null) return;
    const td = tr.children[i];
    say(td, text);
    if (td.className && td.className !== "n" && td.title !== text) td.title = text;
  });
}

// grow keeps the height that a list has had, so that what stands below does not jump.
function grow(list) {
  const n = list.querySelector("tbody").childElementCount;
  if (n <= Number(list.dataset.most || 0)) return;
  list.dataset.most = n;
  const high = Math.min(list.offsetHeight, 400);
  if (high > (parseFloat(list.style.minHeight) || 0)) list.style.minHeight = high + "px";
}

let noteTimer = 0;
function note(text) {
  say($("note"), text);
  $("note").classList.add("shown");
  clearTimeout(noteTimer);
  noteTimer = setTimeout(() => $("note").classList.remove("shown"), 6000);
}

// ---- colours

const colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["text", "dim", "line", "faint", "card", "good", "bad", "busy", "many", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9"]) {
    colours[name] = style.getPropertyValue("--" + name).trim();
  }
}
const colourOf = (task) => task < 0 ? colours.many : colours["t" + task % 10];

const sizes = new Map(); // of canvases: to ask for one makes the browser lay the page out

// pen returns what draws on a canvas, in CSS pixels, and the canvas's size.
function pen(canvas, w, h) {
  const ratio = window.devicePixelRatio || 1;
  if (w === undefined) {
    if (!sizes.has(canvas)) sizes.set(canvas, [canvas.clientWidth, canvas.clientHeight]);
    [w, h] = sizes.get(canvas);
  }
  if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
    canvas.width = Math.round(w * ratio);
    canvas.height = Math.round(h * ratio);
  }
  const c = canvas.getContext("2d");
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.clearRect(0, 0, w, h);
  c.font = "11px system-ui, sans-serif";
  return [c, w, h];
}

// ---- parts of the page

function showHead() {
  const j = s.job;
  say($("title"), j.title);
  document.title = progressShort() + j.title;
  const end = j.ended ? new Date(j.ended) : new Date(j.now);
  say($("where"), `${j.host}, process ${j.pid}, since ${day(j.started)}, for ${time((end - new Date(j.started)) / 1000)}` + (report ? `; seen ${day(j.now)}` : ""));
  const why = j.ended ? "The job ended at " + day(j.ended) + ": " + (j.outcome || "it does not say how") + "."
    : s.why || (j.drained ? "The job begins no call any more: " + j.drained : "");
  say($("why"), why || (report ? "Calls were under way." : "Calls are under way."));
  $("why").classList.toggle("calm", !why || Boolean(j.ended));
  $("drain").hidden = report || !j.acts || Boolean(j.ended);
  $("drain").disabled = token === "" || Boolean(j.drained);
  $("drain").title = token === "" ? "open the page by the link that the job has printed" : "begin no call any more";
  $("save").hidden = report;
}

function progressShort() {
  const c = s.counts;
  return c.total > 0 ? percent((c.kept || 0) / c.total + (c.done + c.failed) / c.total) + " " : "";
}

function health(text, className) {
  say($("health"), text);
  $("health").className = "pill " + (className || "");
}

function showHealth() {
  if (s.job.ended) health("ended");
  else if (report) health("was running");
  else if (s.job.drained) health("drains");
  else if (s.why) health("waits");
  else health("runs", "good");
}

function showProgress() {
  const c = s.counts, kept = c.kept || 0;
  const total = c.total >= 0 ? c.total : kept + c.done + c.failed + c.running + c.waiting + c.resting;
  const share = (n) => total > 0 ? Math.min(100, 100 * n / total) : 0;
  const parts = {kept: kept, done: c.done, failed: c.failed, running: c.running};
  for (const name in parts) $("bar").querySelector("." + name).style.width = share(parts[name]).toFixed(2) + "%";
  $("bar").setAttribute("aria-label", `${num(c.done)} done, ${num(c.failed)} failed, ${num(c.running)} running` + (c.total >= 0 ? `, of ${num(c.total)}` : ""));
  const tiles = [
    ["Done", num(c.done)],
    ["Failed", num(c.failed), c.failed > 0],
    ["Running", num(c.running)],
    ["Waiting", num(c.waiting)],
    ["Resting", num(c.resting)],
    [c.unit === "inputs" ? "Inputs" : "Submitted", c.total >= 0 ? num(c.total) : c.unit === "inputs" ? "?" : num(c.submitted)],
    ["Per second", rate(c.rate)],
    ["Time left", c.eta >= 0 ? time(c.eta) : "?"],
  ];
  if (kept > 0) tiles.splice(1, 0, ["From before", num(kept)]);
  if (c.retried > 0) tiles.push(["Retried", num(c.retried)]);
  if (c.found > 0) tiles.push(["Found in the memo", num(c.found)]);
  if (c.duplicated > 0) tiles.push(["Started twice", num(c.duplicated)]);
  if (c.checked > 0) tiles.push(["Ran twice as a check", num(c.checked)]);
  if (c.differed > 0) tiles.push(["Gave another result", num(c.differed), true]);
  if (c.cancelled > 0) tiles.push(["Cancelled", num(c.cancelled)]);
  rows($("tiles"), tiles, (t) => t[0], (t) => {
    const d = el("div");
    d.append(el("dt", "", t[0]), el("dd"));
    return d;
  }, (d, t) => {
    say(d.lastChild, t[1]);
    d.lastChild.className = t[2] ? "bad" : "";
  });
}

// chart draws lines over the same time, filled below. A line is [values, colour].
function chart(canvas, series, lines, most, text) {
  const [c, w, h] = pen(canvas);
  const left = 42, bottom = 16, top = 6, high = h - bottom - top, wide = w - left;
  const n = lines[0][0].length;
  const slots = whole ? Math.max(n, 2) : Math.max(n, 60);
  const x = (i) => left + wide * (i + slots - n) / (slots - 1);
  const y = (v) => top + high * (1 - Math.min(v / most, 1));
  c.textBaseline = "middle";
  for (const part of [0, 0.5, 1]) {
    c.fillStyle = colours.line;
    c.fillRect(left, Math.round(y(most * part)), wide, 1);
    c.fillStyle = colours.dim;
    c.textAlign = "right";
    c.fillText(text(most * part), left - 5, y(most * part));
  }
  c.textBaseline = "alphabetic";
  c.textAlign = "left";
  c.fillText("−" + time((slots - 1) * series.step), left, h - 3);
  c.textAlign = "right";
  c.fillText(s.job.ended ? "end" : "now", w - 1, h - 3);
  for (const [values, colour] of lines) {
    if (n === 0) continue;
    c.beginPath();
    for (let i = 0; i < n; i++) c.lineTo(x(i), y(values[i]));
    c.strokeStyle = c.fillStyle = colour;
    c.lineWidth = 1.5;
    c.lineJoin = "round";
    c.stroke();
    c.lineTo(x(n - 1), y(0));
    c.lineTo(x(0), y(0));
    c.globalAlpha = 0.15;
    c.fill();
    c.globalAlpha = 1;
  }
}

// nice returns a round number above n, for the top of a chart.
function nice(n) {
  if (n <= 0) return 1;
  const unit = Math.pow(10, Math.floor(Math.log10(n)));
  for (const k of [1, 2, 5, 10]) if (n <= k * unit) return k * unit;
}

function showCharts() {
  const series = whole ? s.history : s.recent;
  const axis = (v) => v >= 10000 ? amount(v).replace(" ", "") : v >= 10 || v === 0 ? String(Math.round(v)) : String(+v.toPrecision(2));
  chart($("c-use"), series, [[series.use, colours.busy]], 1, (v) => percent(v));
  const ended = series.done.map((d, i) => d + series.failed[i]);
  chart($("c-rate"), series, [[ended, colours.good], [series.failed, colours.bad]], nice(Math.max(0, ...ended)), axis);
  chart($("c-queue"), series, [[series.queued, colours.t3]], nice(Math.max(0, ...series.queued)), axis);
  const use = `now ${percent(s.use.now)}, minute ${percent(s.use.last)}, all ${percent(s.use.all)}`;
  const last = (list) => list.length ? list[list.length - 1] : 0;
  const rates = s.recent.done.length > 1 ? s.recent.done.length - 2 : 0; // the last is not whole
  say($("v-use"), use);
  say($("v-rate"), rate((s.recent.done[rates] || 0) + (s.recent.failed[rates] || 0)));
  say($("v-queue"), num(last(s.recent.queued)));
  $("c-use").setAttribute("aria-label", "slot time used: " + use);
  $("c-rate").setAttribute("aria-label", "runs ended per second: " + $("v-rate").textContent);
  $("c-queue").setAttribute("aria-label", "calls waiting: " + $("v-queue").textContent);
}

// ---- the task stream

const now = () => ((s.job.ended ? new Date(s.job.ended) : new Date(s.job.now)) - new Date(s.job.started)) / 1000;

let stream = {rows: [], high: 1, left: 0, from: 0, to: 1}; // how it was drawn last

// streamRows returns where the rows of slots are, by rank: [number of the first row, has a row for runs without slot].
function streamRows() {
  const loose = new Set();
  for (const b of bars) if (b[1] < 0) loose.add(b[0]);
  const first = new Map(), list = [];
  for (const w of s.workers) {
    first.set(w.rank, list.length);
    if (loose.has(w.rank)) list.push([w.rank, -1]);
    for (let i = 0; i < w.slots; i++) list.push([w.rank, i]);
  }
  return [first, loose, list];
}

function showStream() {
  const canvas = $("c-stream");
  const [first, loose, list] = streamRows();
  const axis = 16;
  const high = Math.max(Math.min(list.length * 14, Math.max(144, Math.min(list.length, 480))), 72) + axis;
  if (canvas.style.height !== high + "px") {
    canvas.style.height = high + "px";
    sizes.delete(canvas);
  }
  const [c, w, h] = pen(canvas);
  const left = 42, wide = w - left, rowHigh = (h - axis) / Math.max(list.length, 1);
  const to = view ? view[1] : now(), from = view ? view[0] : to - 60;
  stream = {rows: list, high: rowHigh, left: left, from: from, to: to};
  const x = (t) => left + wide * (t - from) / (to - from);
  c.fillStyle = colours.faint;
  c.fillRect(left, 0, wide, h - axis);
  let style = "";
  const drawn = rowHigh < 1 ? new Float64Array(h) : null; // up to where a line of pixels is drawn that several slots share
  const draw = (b, until, colour) => {
    const x0 = Math.max(x(b[2]), left), x1 = Math.min(x(until), w);
    const base = first.get(b[0]);
    if (x1 < left || x0 > w || base === undefined) return;
    let at = (base + (loose.has(b[0]) ? b[1] + 1 : b[1])) * rowHigh;
    if (drawn) {
      at = Math.floor(at);
      if (!b[6] && x1 <= drawn[at]) return;
      drawn[at] = Math.max(drawn[at], x1);
      if (style !== colour) c.fillStyle = style = colour;
      c.fillRect(Math.round(x0), at, Math.max(Math.round(x1 - x0), 1), 1);
      return;
    }
    if (style !== colour) c.fillStyle = style = colour;
    const gap = rowHigh > 4 ? 1 : 0;
    c.fillRect(x0, at, Math.max(x1 - x0, 1), Math.max(rowHigh - gap, 0.5));
    if (gap && x1 - x0 > 4) {
      c.fillStyle = style = colours.card;
      c.fillRect(x1 - 0.5, at, 0.5, rowHigh - gap);
    }
  };
  c.globalAlpha = 0.55;
  for (const b of open) draw(b, now(), colourOf(b[4]));
  c.globalAlpha = 1;
  if (drawn) drawn.fill(0);
  for (const b of bars) if (!b[6]) draw(b, b[2] + b[3], colourOf(b[4]));
  for (const b of bars) if (b[6]) draw(b, b[2] + b[3], colours.bad);
  c.fillStyle = colours.dim;
  c.textAlign = "right";
  c.textBaseline = "middle";
  let below = -20;
  for (const w of s.workers) {
    const high = (w.slots + (loose.has(w.rank) ? 1 : 0)) * rowHigh, top = first.get(w.rank) * rowHigh, middle = top + high / 2;
    if (top > 0 && high > 4) {
      c.fillStyle = colours.card;
      c.fillRect(left, top - 1.5, wide, 2);
    }
    if (middle - below < 12) continue;
    below = middle;
    c.fillStyle = colours.dim;
    c.fillText(String(w.rank), left - 6, Math.max(middle, 6));
  }
  c.fillStyle = colours.dim;
  c.textBaseline = "alphabetic";
  const ticks = w < 500 ? 3 : 6;
  for (let i = 0; i <= ticks; i++) {
    const t = from + (to - from) * i / ticks;
    c.textAlign = i === 0 ? "left" : i === ticks ? "right" : "center";
    c.fillText(view ? clock(+new Date(s.job.started) + 1000 * t) : i === ticks ? (s.job.ended ? "end" : "now") : "−" + time(to - t), x(t), h - 3);
  }
  if (selecting) {
    c.globalAlpha = 0.25;
    c.fillStyle = colours.busy;
    c.fillRect(Math.min(selecting[0], selecting[1]), 0, Math.abs(selecting[1] - selecting[0]), h - axis);
    c.globalAlpha = 1;
  }
  $("live").setAttribute("aria-pressed", String(view === null));
  showLegend();
}

function showLegend() {
  const seen = [];
  for (const b of bars) seen[b[4] + 1] = true;
  for (const b of open) seen[b[4] + 1] = true;
  const list = s.tasks.map((t, i) => [t.name, i]).filter((t) => seen[t[1] + 1]).slice(0, 12);
  if (seen[0]) list.push(["many short runs", -1]);
  list.push(["failed", -2]);
  if (s.stream.omitted > 0) list.push([`${amount(s.stream.omitted)} runs of the last minute are not drawn one by one`, -3]);
  rows($("legend"), list, (t) => t[1], () => {
    const e = el("span");
    e.append(el("i", "swatch"), document.createTextNode(""));
    return e;
  }, (e, t) => {
    e.firstChild.style.background = t[1] === -2 ? colours.bad : t[1] === -3 ? "none" : colourOf(t[1]);
    say(e.lastChild, t[0]);
  });
}

// look shows a part of the time, as far as there are bars.
function look(from, to) {
  const end = now(), begin = Math.min(bars.length ? bars[0][2] : end - 60, end - 60);
  const span = Math.min(Math.max(to - from, 0.005), end - begin);
  const at = Math.min(Math.max(from, begin), end - span);
  view = [at, at + span];
  showStream();
}

function zoom(by, at) {
  const {from, to} = stream;
  const middle = at === undefined ? (from + to) / 2 : at;
  look(middle - (middle - from) * by, middle + (to - middle) * by);
}

function move(by) {
  const {from, to} = stream;
  look(from + (to - from) * by, to + (to - from) * by);
}

function live() {
  view = null;
  showStream();
}

const timeAt = (x) => stream.from + (stream.to - stream.from) * (x - stream.left) / ($("c-stream").clientWidth - stream.left);

// point says what there is at a point of the stream.
function point(x, y) {
  const at = stream.rows[Math.floor(y / stream.high)], t = timeAt(x);
  if (!at || x < stream.left) return;
  const slack = (stream.to - stream.from) / 500;
  let found = null;
  for (const b of bars) if (b[0] === at[0] && b[1] === at[1] && b[2] - slack <= t && t <= b[2] + b[3] + slack) found = b;
  let text = `rank ${at[0]}, ` + (at[1] < 0 ? "slot not known" : `slot ${at[1]}`);
  const running = open.find((b) => b[0] === at[0] && b[1] === at[1] && b[2] <= t);
  if (found) {
    const name = found[4] < 0 ? "many runs" : (s.tasks[found[4]] || {name: "?"}).name;
    text += `: ${name}, ${time(found[3])}` + (found[6] ? ", failed" : "") + (found[5] > 1 ? `, ${num(found[5])} runs` : found[7] ? `, call ${found[7]}` : "") + `, from ${clock(+new Date(s.job.started) + 1000 * found[2])}`;
  } else if (running) {
    text += `: ${(s.tasks[running[4]] || {name: "?"}).name}, call ${running[7]}, runs for ${time(now() - running[2])}`;
  }
  say($("hover"), text);
}

let selecting = null; // from where to where, in pixels

function followPointer() {
  const canvas = $("c-stream");
  canvas.addEventListener("pointerdown", (e) => {
    if (e.pointerType !== "mouse" || e.button !== 0) return;
    canvas.setPointerCapture(e.pointerId);
    selecting = [e.offsetX, e.offsetX];
  });
  canvas.addEventListener("pointermove", (e) => {
    if (!s) return;
    point(e.offsetX, e.offsetY);
    if (selecting) {
      selecting[1] = e.offsetX;
      showStream();
    }
  });
  canvas.addEventListener("pointerup", (e) => {
    if (!selecting) return;
    const [a, b] = [Math.min(...selecting), Math.max(...selecting)];
    selecting = null;
    if (b - a > 5) look(timeAt(Math.max(a, stream.left)), timeAt(b));
    else point(e.offsetX, e.offsetY);
  });
  canvas.addEventListener("pointercancel", () => { selecting = null; });
  canvas.addEventListener("dblclick", () => { if (s) live(); });
  canvas.addEventListener("wheel", (e) => {
    if (!s || !(e.ctrlKey || e.shiftKey || e.metaKey)) return; // else the page is scrolled
    e.preventDefault();
    zoom((e.deltaY || e.deltaX) > 0 ? 1.25 : 0.8, timeAt(e.offsetX));
  }, {passive: false});
  canvas.addEventListener("keydown", (e) => {
    const act = {"+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), ArrowLeft: () => move(-0.25), ArrowRight: () => move(0.25), 0: live}[e.key];
    if (!s || !act || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    act();
  });
}

// ---- tables

function showTasks() {
  const classes = ["name", "n", "n", "n", "n", "n", "n", "n", "n", "n", "n", "n", "text"];
  rows($("tasks"), s.tasks.map((t, i) => ({t, i})), ({i}) => i, ({t, i}) => {
    const tr = row(classes);
    tr.firstChild.append(el("i", "swatch"), document.createTextNode(t.name));
    tr.firstChild.title = t.name;
    return tr;
  }, (tr, {t, i}) => {
    tr.firstChild.firstChild.style.background = colourOf(i);
    const timed = t.ran.count > 0;
    cells(tr, [
      null, num(t.done), num(t.failed), timed ? time(t.ran.median) : "", timed ? time(t.ran.p99) : "", timed ? time(t.ran.max) : "",
      timed ? time(t.waited.median) : "", timed ? time(t.waited.p99) : "",
      t.measured ? amount(t.instructions / t.measured) : "", t.measured ? bytes(t.memory) : "", bytes(t.in), bytes(t.out),
      Object.entries(t.kinds || {}).sort((a, b) => b[1] - a[1]).map(([kind, n]) => `${kind} ${num(n)}`).join(", "),
    ]);
    tr.children[2].className = t.failed ? "n bad" : "n";
  });
  $("no-tasks").hidden = s.tasks.length > 0;
}

function sparkline(canvas, list) {
  const [c, w, h] = pen(canvas, 120, 18); // as page.css has it
  c.fillStyle = colours.faint;
  c.fillRect(0, 0, w, h);
  c.fillStyle = colours.busy;
  const each = w / 60;
  list.slice(-60).forEach((v, i, all) => {
    const high = h * v / 100;
    c.fillRect((60 - all.length + i) * each, h - high, each, high);
  });
}

function showWorkers() {
  const classes = ["n", "name", "n", "n", "n", "", "n", "n", "n", "n", "n", "text"];
  rows($("workers"), s.workers, (w) => w.rank + " " + w.joined, () => {
    const tr = row(classes);
    tr.children[5].append(el("canvas"));
    return tr;
  }, (tr, w) => {
    let state = "";
    if (w.lost) state = `lost at ${clock(w.lost)}: ${w.reason || "no reason"}`;
    else if (w.loading && w.loading.length) state = "compiles " + w.loading.join(", ");
    else if (w.fetching && w.fetching.length) state = "fetches " + w.fetching.join(", ");
    cells(tr, [
      String(w.rank), `${w.host}, process ${w.pid}`, num(w.slots), num(w.inFlight), num(w.runs), null, percent(w.last), percent(w.all),
      w.memory ? bytes(w.memory) : "", w.guests ? bytes(w.guests) : "", w.lost ? "" : time(w.heard), state,
    ]);
    tr.className = w.lost ? "lost" : "";
    tr.lastChild.className = w.lost ? "text bad" : "text";
    sparkline(tr.children[5].firstChild, w.recent || []);
  });
  $("no-workers").hidden = s.workers.length > 0;
}

function showRunning() {
  rows($("running"), s.running, (c) => c.number, (c) => {
    const tr = row(["n", "n", "name", "text", "n", "n", "n"]);
    if (report) return tr;
    const b = el("button", "kill", "Kill");
    b.type = "button";
    b.setAttribute("aria-label", "kill call " + c.number);
    b.addEventListener("click", () => kill(c));
    tr.lastChild.append(b);
    return tr;
  }, (tr, c) => {
    cells(tr, [time(c.for), String(c.number), c.task, [c.name, ...(c.tags || [])].filter(Boolean).join(", "), String(c.rank), String(c.slot), null]);
    const b = tr.lastChild.firstChild;
    if (b) {
      b.disabled = token === "";
      b.title = token === "" ? "open the page by the link that the job has printed" : "";
    }
  });
  say($("h-running"), "Longest running calls" + (s.runs > s.running.length ? ` (${s.running.length} of ${num(s.runs)})` : ""));
  $("no-running").hidden = s.running.length > 0;
  grow($("running").closest(".wide"));
}

// ---- failures

function showFailures() {
  rows($("failures"), s.failures, (f) => f.id, (f) => {
    const d = el("details"), sum = el("summary");
    sum.append(el("span", "count"), el("span", "kind", f.kind), el("span", "dim", f.task), el("span", "message", f.message));
    sum.children[2].title = f.task;
    d.append(sum, el("div"));
    d.addEventListener("toggle", () => { if (d.open) fetchExamples(); });
    return d;
  }, (d, f) => {
    say(d.firstChild.firstChild, num(f.count));
    if (f.examples) examples.set(f.id, f);
    const known = examples.get(f.id);
    const body = d.lastChild;
    if (known && body.childElementCount !== known.examples.length + 1) {
      body.replaceChildren(el("p", "dim", `first at ${day(known.first)}; the first ${known.examples.length === 1 ? "one" : known.examples.length}:`), ...known.examples.map(example));
      say(d.firstChild.lastChild, known.message);
    }
  });
  let none = s.failures.length ? "" : "No run has failed.";
  if (s.left > 0) none = `${num(s.left)} more failed runs are of other kinds or messages, for which there was no room.`;
  say($("no-failures"), none);
  $("no-failures").hidden = none === "";
}

function example(x) {
  const e = el("div", "example");
  const facts = [`call ${x.call}`, x.name, x.tags && x.tags.length && `tags ${x.tags.join(", ")}`, `attempt ${x.attempt}` + (x.again ? ", ran again" : ""),
    `rank ${x.rank} on ${x.host}`, `at ${clock(x.ended)}`, `after ${time(x.ran)}`, x.code && `code ${x.code}`];
  e.append(el("p", "", facts.filter(Boolean).join(" · ")));
  for (const [name, text] of [["Message", x.message], ["Stack", x.stack], ["Printed", x.printed], ["Log", (x.log || []).join("\n")]]) {
    if (text) e.append(el("h3", "", name), el("pre", "", text));
  }
  return e;
}

async function fetchExamples() {
  if (report) return;
  try {
    const answer = await fetch("failures");
    if (!answer.ok) throw new Error(await answer.text());
    for (const f of await answer.json()) examples.set(f.id, f);
    showFailures();
  } catch (err) {
    note("The failures could not be read: " + err.message);
  }
}

// ---- what acts

async function post(name, body) {
  const answer = await fetch(name, {method: "POST", headers: {"Content-Type": "application/json", "Wasmpool-Token": token}, body: JSON.stringify(body)});
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

async function kill(c) {
  if (!confirm(`Kill call ${c.number} of ${c.task}? It fails, with all that it has computed.`)) return;
  try {
    const {killed} = await post("kill", {call: c.number});
    note(killed ? `Call ${c.number} is killed.` : `Call ${c.number} had ended already.`);
  } catch (err) {
    note("It was not killed: " + err.message);
  }
}

async function drain() {
  if (!confirm("Drain the job? It begins no call any more, and ends when those that run are done.")) return;
  try {
    await post("drain", {});
    note("The job begins no call any more.");
  } catch (err) {
    note("It does not drain: " + err.message);
  }
}

// ---- states

function show() {
  s.workers.sort((a, b) => a.rank - b.rank);
  showHead();
  showHealth();
  showProgress();
  showCharts();
  showStream();
  showTasks();
  showWorkers();
  showRunning();
  showFailures();
}

// take takes a whole state.
function take(state) {
  s = state;
  $("parts").classList.add("ready");
  bars = s.stream.bars;
  nextBar = s.stream.first + bars.length;
  open = s.stream.open || [];
  show();
}

// join adds the last points of a series. It reports false where these do not fit.
function join(into, more, most) {
  if (into.step !== more.step) return false;
  const at = Math.round((more.first - into.first) / into.step);
  if (at < 0 || at > into.use.length) return false;
  for (const name of ["use", "done", "failed", "queued"]) {
    more[name].forEach((v, i) => { into[name][at + i] = v; });
    if (into[name].length > most) into[name].splice(0, into[name].length - most);
  }
  into.first = more.first + (more.use.length - into.use.length) * into.step;
  return true;
}

// change takes what may have changed.
function change(c) {
  const recent = s.recent, history = s.history, workers = new Map(s.workers.map((w) => [w.rank + " " + w.joined, w]));
  const fits = join(recent, c.recent, 300) && join(history, c.history, 600);
  for (const w of c.workers) {
    const before = workers.get(w.rank + " " + w.joined);
    w.recent = (before && before.recent || []).concat(Math.round(w.use * 100)).slice(-60);
  }
  const skip = Math.max(0, nextBar - c.stream.first);
  bars.push(...c.stream.bars.slice(skip));
  nextBar = Math.max(nextBar, c.stream.first + c.stream.bars.length);
  s = c;
  s.recent = recent;
  s.history = history;
  const oldest = (view ? Math.min(view[0], now() - 60) : now() - 60) - 1;
  let gone = 0;
  while (gone < bars.length && (bars[gone][2] + bars[gone][3] < oldest || bars.length - gone > 120000)) gone++;
  if (gone) bars.splice(0, gone);
  if (c.stream.open) open = c.stream.open;
  else {
    const ended = new Set(c.stream.bars.map((b) => b[7]));
    open = open.filter((b) => !ended.has(b[7]));
  }
  if (!fits) again();
  else show();
}

async function again() {
  try {
    take(await (await fetch("state")).json());
  } catch {
    if (s) show(); // the next event brings more, if there is one
  }
}

function listen() {
  const source = new EventSource("events");
  source.addEventListener("state", (e) => take(JSON.parse(e.data)));
  source.addEventListener("change", (e) => {
    const c = JSON.parse(e.data);
    if (s && (!document.hidden || c.job.ended)) change(c);
    else stale = true;
  });
  source.addEventListener("error", () => {
    if (s && s.job.ended) {
      source.close();
      return;
    }
    health("no connection", "bad");
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  });
}

let stale = false; // changes came while nobody saw the page

function start() {
  readColours();
  followPointer();
  const redraw = () => { readColours(); if (s) show(); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("resize", () => { sizes.clear(); if (s) { showCharts(); showStream(); } });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && stale && !report) {
      stale = false;
      again();
    }
  });
  const pick = (all) => () => {
    whole = all;
    $("recent").setAttribute("aria-pressed", String(!all));
    $("history").setAttribute("aria-pressed", String(all));
    if (s) showCharts();
  };
  $("recent").addEventListener("click", pick(false));
  $("history").addEventListener("click", pick(true));
  for (const [id, act] of [["earlier", () => move(-0.5)], ["later", () => move(0.5)], ["closer", () => zoom(0.5)], ["wider", () => zoom(2)], ["live", live]]) {
    $(id).addEventListener("click", () => { if (s) act(); });
  }
  $("drain").addEventListener("click", drain);
  if (report) take(JSON.parse($("state").textContent));
  else listen();
}

start();
})();

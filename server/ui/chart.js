/**
 * The chart of a numeric field over what is listed: a line for each set of tags, a table of their
 * numbers, and a cursor that is moved by pointer or keys.
 *
 * @module
 */

import { address } from "./address.js";
import { ChartData, numericFields, pathOf, shortNumber } from "./chart_data.js";
import { drawAxes, drawLine, drawPercentiles, HEIGHT, scaleOf, TOP } from "./chart_drawing.js";
import { jqPath } from "./clauses.js";
import { button, clock, count, fill, h } from "./dom.js";
import { styled } from "./later.js";
import { onColors } from "./prefs.js";
import { unlessPressed } from "./press.js";
import { say } from "./say.js";

await styled("chart");

/** @typedef {import("./list.js").Row} Row */
/** @typedef {import("./chart_data.js").Series} Series */

/** Colours of the lines, by the names of custom properties. */
const COLORS = ["--h4", "--h8", "--h3", "--h7", "--h6", "--h5", "--h2", "--h1"];
/** Rows in which fields are looked for. */
const RECENT = 200;
/** How long rows are read in one frame, in milliseconds. */
const SLICE_MS = 6;

export class Chart {
  /** The frame in which more rows are read. */
  #frame = 0;
  /** @type {ChartData | null} */
  #data = null;
  #rows = /** @type {readonly Row[]} */ ([]);
  /** What was drawn last: the rows there were. */
  #seen = "";
  /** The time under the cursor; null for none. @type {number | null} */
  #at = null;
  /** The line whose percentiles are drawn. */
  #chosen = "";
  /** @type {string[]} */
  #colors = [];
  #unsubscribe;

  fields = h("datalist", { id: "chart-fields" });
  input = h("input", {
    type: "text",
    class: "where",
    list: "chart-fields",
    "aria-label": "Field to draw",
    placeholder: "Field to draw: .data.celsius",
    spellcheck: "false",
    autocomplete: "off",
    onchange: () => this.#choose(this.input.value),
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter") this.#choose(this.input.value);
    },
  });
  canvas = h("canvas", null);
  tip = h("div", { class: "tip", hidden: true });
  plot = h(
    "div",
    {
      class: "chart-plot",
      tabindex: 0,
      role: "slider",
      "aria-label": "Chart: arrow keys move the cursor",
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      "aria-valuenow": 100,
      onpointermove: (/** @type {PointerEvent} */ event) => this.#point(event),
      onpointerleave: () => this.#move(null),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
    },
    this.canvas,
    this.tip,
  );
  table = h("table", { class: "chart-table" });
  note = h("p", { class: "chart-note" });

  /** @param {{tags: () => readonly string[], close: () => void}} on */
  constructor(on) {
    this.on = on;
    this.element = h(
      "section",
      { class: "chart", "aria-label": "Chart" },
      h(
        "div",
        { class: "chart-bar" },
        this.input,
        this.fields,
        this.note,
        button("Close the chart", on.close, { icon: "close", key: "v" }),
      ),
      h("div", { class: "chart-body" }, this.plot, h("div", { class: "chart-side" }, this.table)),
    );
    this.observer = new ResizeObserver(() => this.#draw());
    this.observer.observe(this.plot);
    this.#unsubscribe = onColors(() => {
      this.#colors = [];
      this.#draw();
    });
  }

  dispose() {
    cancelAnimationFrame(this.#frame);
    this.observer.disconnect();
    this.#unsubscribe();
  }

  /** @param {string} text */
  #choose(text) {
    if (text === address.shown.chart) return;
    address.set({ chart: text });
    this.#seen = "";
    this.update(this.#rows);
  }

  /** Draws what is listed, if that has changed. @param {readonly Row[]} rows */
  update(rows) {
    this.#rows = rows;
    const asked = address.shown.chart;
    const first = rows[0], last = rows.at(-1);
    const tags = this.on.tags().join("\0");
    const seen = [asked, tags, rows.length, first?.t, last?.t, last?.kind === "message" && last.seq]
      .join(" ");
    if (seen === this.#seen) return;
    this.#seen = seen;
    const fields = numericFields(rows.slice(-RECENT));
    fill(this.fields, fields.map((value) => h("option", { value })));
    const text = asked && asked !== "1" ? asked : fields[0] ?? "";
    if (document.activeElement !== this.input) this.input.value = text;
    const path = pathOf(text);
    if (!path) {
      this.#data = null;
      fill(this.table);
      fill(
        this.note,
        text ? `“${text}” is no path such as .data.celsius` : "No numbers are listed",
      );
      return this.#draw();
    }
    if (!this.#data || jqPath(this.#data.path) !== jqPath(path)) {
      this.#data = new ChartData(path);
      this.#at = null;
    }
    this.#read();
  }

  /** Reads the rows, for so long in each frame that the page stays smooth, then shows what they say. */
  #read() {
    cancelAnimationFrame(this.#frame);
    if (!this.#data) return;
    if (!this.#data.read(this.#rows, this.on.tags(), SLICE_MS)) {
      this.#frame = requestAnimationFrame(() => this.#read());
      return;
    }
    this.#tell();
    this.#draw();
  }

  /** The table of numbers, which is also what a screen reader gets. */
  #tell() {
    unlessPressed(this.table, () => this.#drawTable());
  }

  #drawTable() {
    const data = this.#data;
    if (!data) return;
    const series = [...data.series.values()];
    if (!data.series.has(this.#chosen)) this.#chosen = series[0]?.name ?? "";
    const extent = data.extent;
    const range = extent ? extent.high - extent.low : 0;
    const n = (/** @type {number} */ value) => shortNumber(value, range);
    const focused = document.activeElement?.closest(".chart-table button")?.textContent;
    fill(
      this.table,
      h("caption", { class: "offscreen" }, `Numbers at ${jqPath(data.path)}`),
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          ["Line", "Last", "p50", "p95", "Low", "High", "Count"].map((title) =>
            h("th", { scope: "col" }, title)
          ),
        ),
      ),
      h(
        "tbody",
        null,
        series.map((one, i) =>
          h(
            "tr",
            null,
            h(
              "th",
              { scope: "row" },
              h(
                "button",
                {
                  type: "button",
                  class: `line l${i}`,
                  "aria-pressed": String(one.name === this.#chosen),
                  title: "Show p50 and p95 of this line",
                  onclick: () => {
                    this.#chosen = one.name;
                    this.#tell();
                    this.#draw();
                  },
                },
                one.name,
              ),
            ),
            [one.last, one.p50, one.p95, one.low, one.high].map((value) => h("td", null, n(value))),
            h("td", null, count(one.points.length)),
          )
        ),
      ),
    );
    if (focused) {
      for (const line of this.table.querySelectorAll("button")) {
        if (line.textContent === focused) line.focus();
      }
    }
    fill(this.note, data.left || (series.length ? "" : "No numbers are listed"));
    this.#say(series, n);
  }

  /** @param {readonly Series[]} series @param {(value: number) => string} n */
  #say(series, n) {
    const words = series.map(({ name, last, p50 }) => `${name} last ${n(last)}, median ${n(p50)}`);
    if (words.length) say(words.join("; "), "chart");
  }

  // ---- Drawing ------------------------------------------------------------------------------

  /** Where things are; null where there are none. */
  #scale() {
    const extent = this.#data?.extent;
    const width = this.plot.clientWidth;
    return extent && width ? scaleOf(extent, width) : null;
  }

  #draw() {
    const { canvas, plot } = this;
    const width = plot.clientWidth, ratio = devicePixelRatio || 1;
    const g = canvas.getContext("2d");
    if (!width || !g) return;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(HEIGHT * ratio)) canvas.height = Math.round(HEIGHT * ratio);
    if (!this.#colors.length) {
      const style = getComputedStyle(document.documentElement);
      this.#colors = [...COLORS, "--ghost", "--h0"].map((name) => style.getPropertyValue(name));
    }
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, HEIGHT);
    const scale = this.#scale();
    if (!scale || !this.#data) return this.#hideTip();
    const [line = "", text = ""] = this.#colors.slice(COLORS.length);
    drawAxes(g, { line, text }, scale);
    let i = 0;
    for (const series of this.#data.series.values()) {
      g.strokeStyle = g.fillStyle = this.#colors[i++ % COLORS.length] ?? "";
      const isChosen = series.name === this.#chosen;
      drawLine(g, series, isChosen, scale);
      if (isChosen) drawPercentiles(g, series, scale);
    }
    this.#cursor(g, scale);
  }

  // ---- The cursor ---------------------------------------------------------------------------

  #hideTip() {
    this.tip.hidden = true;
  }

  /** @param {CanvasRenderingContext2D} g @param {import("./chart_drawing.js").Scale} scale */
  #cursor(g, { x, from, to, bottom, low, high }) {
    const at = this.#at;
    if (at === null || !this.#data) return this.#hideTip();
    g.strokeStyle = this.#colors[COLORS.length + 1] ?? "";
    g.lineWidth = 1;
    g.beginPath();
    g.moveTo(Math.round(x(at)) + 0.5, TOP);
    g.lineTo(Math.round(x(at)) + 0.5, bottom);
    g.stroke();
    const values = [...this.#data.series.values()].map(({ name, points }) => {
      const point = before(points, at);
      return `${name} ${point ? shortNumber(point.value, high - low) : "–"}`;
    });
    const words = `${clock(at, false)}  ${values.join(", ")}`;
    this.tip.hidden = false;
    this.tip.textContent = words;
    const half = this.tip.offsetWidth / 2;
    const left = Math.max(half, Math.min(this.plot.clientWidth - half, x(at)));
    this.tip.style.left = `${left}px`;
    this.plot.setAttribute("aria-valuenow", String(Math.round((at - from) / (to - from) * 100)));
    this.plot.setAttribute("aria-valuetext", words);
  }

  /** @param {number | null} at */
  #move(at) {
    this.#at = at;
    this.#draw();
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const scale = this.#scale();
    if (!scale) return;
    const x = event.clientX - this.plot.getBoundingClientRect().left;
    this.#move(Math.max(scale.from, Math.min(scale.to, scale.t(x))));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const scale = this.#scale();
    if (!scale) return;
    const { from, to } = scale;
    const step = (to - from) / (event.shiftKey ? 10 : 100);
    const at = this.#at ?? to;
    if (event.key === "ArrowLeft") this.#move(Math.max(from, at - step));
    else if (event.key === "ArrowRight") this.#move(Math.min(to, at + step));
    else if (event.key === "Home") this.#move(from);
    else if (event.key === "End") this.#move(to);
    else if (event.key === "Escape" && this.#at !== null) this.#move(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** The last point at a time or before it. @param {readonly import("./chart_data.js").Point[]} points @param {number} at */
function before(points, at) {
  let low = 0, high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((points[middle]?.t ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return points[low - 1];
}

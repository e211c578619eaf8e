/**
 * The histogram of the retained range. Loaded messages are counted exactly; others are estimated
 * from knots, which are samples with known number and time.
 *
 * @module
 */

import { messageAt } from "./api.js";
import { clock, count, fill, h, hueOf, moment } from "./dom.js";
import { onPrefs } from "./prefs.js";

/** @typedef {{seq: number, t: number, hue: number}} Knot */
/** @typedef {import("./list.js").Row} Row */

const HUES = 10;
const BAR = 4;
const HEIGHT = 56;

/** @param {Knot[]} knots @param {Knot} knot kept in order of seq */
export function addKnot(knots, knot) {
  let i = knots.length;
  while (i > 0 && (knots[i - 1]?.seq ?? 0) > knot.seq) i--;
  if (knots[i - 1]?.seq !== knot.seq) knots.splice(i, 0, knot);
}

/** @param {{seq: bigint, t: number, tags: readonly string[]}} message @returns {Knot} */
export const knotOf = (message) => ({
  seq: Number(message.seq),
  t: message.t,
  hue: hueOf(message.tags),
});

/** How many messages are sampled to estimate what is not loaded. */
export const KNOTS = 48;

/**
 * Samples messages across a range of numbers in scattered order, so that the estimate improves
 * gradually.
 * @param {string} pool
 * @param {bigint} from
 * @param {bigint} to
 * @param {Timeline} timeline
 * @param {AbortSignal} signal
 */
export async function sampleKnots(pool, from, to, timeline, signal) {
  const width = Number(to - from);
  const steps = Math.min(KNOTS, width);
  const wanted = Array.from(
    { length: steps + 1 },
    (_, i) => from + BigInt(Math.round(width * i / steps)),
  );
  wanted.sort((a, b) => Number((a * 7919n) % 97n) - Number((b * 7919n) % 97n));
  const work = async () => {
    for (let seq = wanted.pop(); seq !== undefined && !signal.aborted; seq = wanted.pop()) {
      const found = await messageAt(pool, seq, signal).catch(() => null);
      if (found) addKnot(timeline.knots, knotOf(found));
    }
  };
  await Promise.all([work(), work(), work()]);
}

export class Timeline {
  /** @type {Knot[]} */
  knots = [];
  /** @type {Row[]} */
  rows = [];
  from = 0;
  to = 1;
  /** The selected range, or null. @type {[number, number] | null} */
  range = null;
  /** Times of the rows on screen. @type {[number, number] | null} */
  view = null;
  /** The position of a replay. @type {number | null} */
  cursor = null;
  /**
   * Whether only some messages are loaded: then all are estimated, and the loaded ones drawn on
   * top.
   */
  partial = false;

  #counts = new Float64Array(0);
  #ghost = new Float64Array(0);
  #bars = 1;
  /** @type {[number, number] | null} bars under the pointer or the keyboard */
  #drag = null;
  #held = false;
  /** @type {string[]} */
  #colors = [];

  /** @param {(from: number, to: number) => void} select */
  constructor(select) {
    this.select = select;
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.tip = h("div", { class: "tip", hidden: true });
    this.labels = h("div", { class: "labels", "aria-hidden": "true" });
    this.plot = h(
      "div",
      {
        class: "plot",
        role: "slider",
        tabindex: 0,
        "aria-label": "Timeline: arrow keys move, Shift extends the range, Enter opens it",
        "aria-valuemin": 0,
        "aria-valuemax": 0,
        "aria-valuenow": 0,
        onpointerdown: (/** @type {PointerEvent} */ e) => this.#down(e),
        onpointermove: (/** @type {PointerEvent} */ e) => this.#move(e),
        onpointerup: () => this.#up(),
        onpointerleave: () => this.#leave(),
        onpointercancel: () => ((this.#held = false), this.#leave()),
        onkeydown: (/** @type {KeyboardEvent} */ e) => this.#key(e),
      },
      this.canvas,
      this.tip,
    );
    this.element = h("div", { class: "timeline" }, this.plot, this.labels);
    this.observer = new ResizeObserver(() => this.update());
    this.observer.observe(this.plot);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.recolor = () => ((this.#colors = []), this.update());
    this.scheme.addEventListener("change", this.recolor);
    this.themed = onPrefs(this.recolor);
  }

  dispose() {
    this.observer.disconnect();
    this.scheme.removeEventListener("change", this.recolor);
    this.themed();
  }

  /** Recounts and redraws. */
  update() {
    const width = this.plot.clientWidth;
    if (!width) return;
    this.#bars = Math.max(1, Math.floor(width / BAR));
    this.#counts = new Float64Array(this.#bars * HUES);
    this.#ghost = new Float64Array(this.#bars);
    const scale = this.#bars / Math.max(1, this.to - this.from);
    let first = Infinity;
    for (const row of this.rows) {
      if (row.kind !== "message") continue;
      if (first === Infinity) first = Number(row.seq);
      const bar = Math.floor((row.t - this.from) * scale);
      if (bar >= 0 && bar <= this.#bars) this.#count(bar, hueOf(row.tags), 1);
    }
    this.#estimate(this.partial ? Infinity : first, scale);
    this.draw();
  }

  /** @param {number} bar @param {number} hue @param {number} n */
  #count(bar, hue, n) {
    const at = Math.min(bar, this.#bars - 1) * HUES + hue;
    this.#counts[at] = (this.#counts[at] ?? 0) + n;
  }

  /** Spreads the messages between two knots evenly over the time between them. @param {number} before @param {number} scale */
  #estimate(before, scale) {
    for (let i = 0; i + 1 < this.knots.length; i++) {
      const [a, b] = [this.knots[i], this.knots[i + 1]];
      if (!a || !b || a.seq >= before) break;
      const n = Math.min(b.seq, before) - a.seq;
      const x0 = (a.t - this.from) * scale, x1 = Math.max(x0 + 1e-6, (b.t - this.from) * scale);
      for (let bar = Math.max(0, Math.floor(x0)); bar < Math.min(this.#bars, x1); bar++) {
        const part = n * (Math.min(bar + 1, x1) - Math.max(bar, x0)) / (x1 - x0);
        if (this.partial) this.#ghost[bar] = (this.#ghost[bar] ?? 0) + part;
        else {
          this.#count(bar, a.hue, part / 2);
          this.#count(bar, b.hue, part / 2);
        }
      }
    }
  }

  /** @param {number} bar */
  #total(bar) {
    let n = 0;
    for (let hue = 0; hue < HUES; hue++) n += this.#counts[bar * HUES + hue] ?? 0;
    return n;
  }

  draw() {
    const width = this.plot.clientWidth;
    const ratio = devicePixelRatio || 1;
    const { canvas } = this;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== HEIGHT * ratio) {
      canvas.width = Math.round(width * ratio);
      canvas.height = HEIGHT * ratio;
    }
    const g = canvas.getContext("2d");
    if (!g) return;
    if (!this.#colors.length) {
      const style = getComputedStyle(document.documentElement);
      for (let i = 0; i < HUES; i++) this.#colors.push(style.getPropertyValue(`--h${i}`));
      this.#colors.push(style.getPropertyValue("--ghost"), style.getPropertyValue("--accent"));
    }
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, HEIGHT);
    let top = 1;
    for (let bar = 0; bar < this.#bars; bar++) {
      top = Math.max(top, this.#total(bar), this.#ghost[bar] ?? 0);
    }
    const floor = HEIGHT - 4;
    const lift = (/** @type {number} */ n) => n > 0 ? Math.max(1.5, n / top * (floor - 2)) : 0;
    for (let bar = 0; bar < this.#bars; bar++) {
      const x = bar * BAR;
      const ghost = lift(this.#ghost[bar] ?? 0);
      if (ghost) {
        g.fillStyle = this.#colors[HUES] ?? "";
        g.fillRect(x, floor - ghost, BAR - 1, ghost);
      }
      const total = this.#total(bar);
      let y = floor;
      for (let hue = 0; hue < HUES && total; hue++) {
        const tall = lift(total) * (this.#counts[bar * HUES + hue] ?? 0) / total;
        g.fillStyle = this.#colors[hue] ?? "";
        g.fillRect(x, y -= tall, BAR - 1, tall);
      }
    }
    const accent = this.#colors[HUES + 1] ?? "";
    const px = (/** @type {number} */ t) => (t - this.from) / (this.to - this.from) * width;
    if (this.view) {
      g.fillStyle = accent;
      const x = px(this.view[0]);
      g.fillRect(Math.max(0, x - 1), HEIGHT - 2, Math.max(3, px(this.view[1]) - x + 2), 2);
    }
    /** @type {[number, number] | null} */
    const mark = this.#drag
      ? [Math.min(...this.#drag) * BAR, (Math.max(...this.#drag) + 1) * BAR]
      : this.range && [px(this.range[0]), px(this.range[1])];
    if (
      mark &&
      (this.#held || !this.#drag || mark[1] - mark[0] > BAR || document.activeElement === this.plot)
    ) {
      g.fillStyle = accent;
      g.globalAlpha = 0.13;
      g.fillRect(mark[0], 0, mark[1] - mark[0], floor);
      g.globalAlpha = 1;
      g.fillRect(mark[0], 0, 1, floor);
      g.fillRect(mark[1] - 1, 0, 1, floor);
    }
    if (this.cursor !== null) {
      g.fillStyle = accent;
      g.fillRect(px(this.cursor) - 1, 0, 2, floor);
    }
    fill(
      this.labels,
      h("span", null, moment(this.from)),
      width > 500 && h("span", null, moment((this.from + this.to) / 2)),
      h("span", null, moment(this.to)),
    );
    this.plot.setAttribute("aria-valuemax", String(this.#bars - 1));
    if (!this.plot.hasAttribute("aria-valuetext")) {
      this.plot.setAttribute("aria-valuetext", `${moment(this.from)} to ${moment(this.to)}`);
    }
  }

  /** @param {number} bar */
  #time(bar) {
    return this.from + (this.to - this.from) * bar / this.#bars;
  }

  /** @param {PointerEvent} event */
  #barAt(event) {
    const x = event.clientX - this.plot.getBoundingClientRect().left;
    return Math.max(0, Math.min(this.#bars - 1, Math.floor(x / BAR)));
  }

  /** @param {PointerEvent} event */
  #down(event) {
    const bar = this.#barAt(event);
    this.#held = true;
    this.#drag = [bar, bar];
    this.plot.setPointerCapture(event.pointerId);
    this.#hint();
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const bar = this.#barAt(event);
    this.#drag = this.#held && this.#drag ? [this.#drag[0], bar] : [bar, bar];
    this.#hint();
  }

  #up() {
    if (this.#held && this.#drag) this.#choose();
    this.#held = false;
  }

  #leave() {
    if (this.#held) return;
    this.#drag = null;
    this.tip.hidden = true;
    this.draw();
  }

  #choose() {
    if (!this.#drag) return;
    const a = Math.min(...this.#drag), b = Math.max(...this.#drag);
    this.#drag = null;
    this.tip.hidden = true;
    this.select(this.#time(a), this.#time(b + 1));
  }

  /** Describes the messages in the marked bars. */
  #hint() {
    if (!this.#drag) return;
    const a = Math.min(...this.#drag), b = Math.max(...this.#drag);
    let n = 0;
    for (let bar = a; bar <= b; bar++) n += this.#total(bar) || (this.#ghost[bar] ?? 0);
    const near = this.to - this.from < 120_000;
    const text = `${clock(this.#time(a), near)} – ${clock(this.#time(b + 1), near)}  ·  ${
      count(Math.round(n))
    } message${Math.round(n) === 1 ? "" : "s"}`;
    fill(this.tip, text);
    this.tip.hidden = false;
    const x = (a + b + 1) / 2 * BAR, half = this.tip.offsetWidth / 2;
    this.tip.style.left = `${Math.max(half, Math.min(this.plot.clientWidth - half, x))}px`;
    this.plot.setAttribute("aria-valuenow", String(b));
    this.plot.setAttribute("aria-valuetext", text);
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    const [a, b] = this.#drag ?? [this.#bars - 1, this.#bars - 1];
    if (step) {
      const to = Math.max(0, Math.min(this.#bars - 1, b + step));
      this.#drag = event.shiftKey ? [a, to] : [to, to];
      this.#hint();
    } else if (event.key === "Enter") this.#choose();
    else if (event.key === "Escape" && this.#drag) this.#leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/**
 * The timeline of the retained range: what the server has counted, and nothing else. What is not
 * exact is grey and says so.
 *
 * @module
 */

import { clock, count, fill, h, hueOf, moment } from "./dom.js";
import { onColors } from "./prefs.js";

/**
 * What the server has counted.
 * @typedef {object} Histogram
 * @property {string} from
 * @property {string} to
 * @property {number} bucket_ms
 * @property {boolean} exact
 * @property {Array<{time: string, count: number, tags: Record<string, number>}>} buckets
 */

const HUES = 10;
/** The least width of a bar, in pixels. */
const BAR = 4;
const HEIGHT = 56;

/**
 * Divides the messages of a bucket among the colours of their tags: trouble first, as in the rows.
 * @param {number} count @param {Record<string, number>} tags
 */
function shares(count, tags) {
  const share = new Float64Array(HUES);
  for (const [tag, n] of Object.entries(tags)) {
    const hue = hueOf([tag]);
    share[hue] = (share[hue] ?? 0) + n;
  }
  let left = count;
  for (let hue = 1; hue < 4; hue++) left -= share[hue] = Math.min(left, share[hue] ?? 0);
  let others = 0;
  for (let hue = 4; hue < HUES; hue++) others += share[hue] ?? 0;
  const scale = others > left ? left / others : 1;
  for (let hue = 4; hue < HUES; hue++) share[hue] = (share[hue] ?? 0) * scale;
  share[0] = Math.max(0, left - others * scale);
  return share;
}

export class Timeline {
  /** @type {Histogram | null} */
  #counted = null;
  from = 0;
  to = 1;
  /** The selected range, or null. @type {[number, number] | null} */
  range = null;
  /** Times of the rows on screen. @type {[number, number] | null} */
  view = null;
  /** The position of a replay. @type {number | null} */
  cursor = null;

  /** Messages by bar and colour. */
  #counts = new Float64Array(0);
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
    // Times are written anew as well.
    this.themed = onColors(() => ((this.#colors = []), this.update()));
  }

  dispose() {
    this.observer.disconnect();
    this.themed();
  }

  /** How many bars there is room for. */
  get room() {
    return Math.max(1, Math.min(2000, Math.floor(this.plot.clientWidth / BAR)));
  }

  /** Shows what the server has counted. @param {Histogram} counted */
  show(counted) {
    this.#counted = counted;
    this.update();
  }

  /** Redraws what was counted. */
  update() {
    const { buckets = [], bucket_ms: ms = 1, from } = this.#counted ?? {};
    if (from === undefined || buckets.length === 0) return;
    this.#bars = buckets.length;
    this.from = Date.parse(from);
    this.to = this.from + ms * buckets.length;
    this.#counts = new Float64Array(this.#bars * HUES);
    for (const [i, { count, tags }] of buckets.entries()) {
      this.#counts.set(shares(count, tags), i * HUES);
    }
    this.draw();
  }

  /** The width of a bar, in pixels. */
  get #width() {
    return this.plot.clientWidth / this.#bars;
  }

  get #exact() {
    return this.#counted?.exact !== false;
  }

  /** @param {number} bar */
  #total(bar) {
    return this.#counted?.buckets[bar]?.count ?? 0;
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
      top = Math.max(top, this.#total(bar));
    }
    const floor = HEIGHT - 4;
    const size = this.#width;
    const thick = Math.max(1, size - 1);
    const lift = (/** @type {number} */ n) => n > 0 ? Math.max(1.5, n / top * (floor - 2)) : 0;
    for (let bar = 0; bar < this.#bars; bar++) {
      const x = bar * size;
      const total = this.#total(bar);
      let y = floor;
      if (!this.#exact) {
        g.fillStyle = this.#colors[HUES] ?? "";
        g.fillRect(x, floor - lift(total), thick, lift(total));
        continue;
      }
      for (let hue = 0; hue < HUES && total; hue++) {
        const tall = lift(total) * (this.#counts[bar * HUES + hue] ?? 0) / total;
        g.fillStyle = this.#colors[hue] ?? "";
        g.fillRect(x, y -= tall, thick, tall);
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
      ? [Math.min(...this.#drag) * size, (Math.max(...this.#drag) + 1) * size]
      : this.range && [px(this.range[0]), px(this.range[1])];
    if (
      mark &&
      (this.#held || !this.#drag || mark[1] - mark[0] > size * 1.5 ||
        document.activeElement === this.plot)
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
    if (this.#counted) {
      fill(
        this.labels,
        h("span", null, moment(this.from)),
        width > 500 && h("span", null, moment((this.from + this.to) / 2)),
        h("span", null, moment(this.to)),
      );
    }
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
    return Math.max(0, Math.min(this.#bars - 1, Math.floor(x / this.#width)));
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
    if (!this.#drag || !this.#counted) return;
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
    for (let bar = a; bar <= b; bar++) n += this.#total(bar);
    const near = this.to - this.from < 120_000;
    const text = `${clock(this.#time(a), near)} – ${clock(this.#time(b + 1), near)}  ·  ${
      this.#exact ? "" : "about "
    }${count(n)} message${n === 1 ? "" : "s"}`;
    fill(this.tip, text);
    this.tip.hidden = false;
    const x = (a + b + 1) / 2 * this.#width, half = this.tip.offsetWidth / 2;
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

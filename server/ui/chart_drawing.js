/**
 * How a chart is drawn: axes, lines, percentiles.
 *
 * @module
 */

import { shortNumber, ticks } from "./chart_data.js";
import { clock, moment } from "./dom.js";

/** @typedef {import("./chart_data.js").Series} Series */
/**
 * Where things are, in pixels.
 * @typedef {object} Scale
 * @property {number} from the time at the left
 * @property {number} to
 * @property {number} low the value at the bottom
 * @property {number} high
 * @property {number} right
 * @property {number} bottom
 * @property {(t: number) => number} x
 * @property {(value: number) => number} y
 * @property {(x: number) => number} t
 */

export const HEIGHT = 190;
/** The space around the lines: left for the numbers, below for the times. */
const LEFT = 62, RIGHT = 10, BELOW = 20;
export const TOP = 8;

/**
 * @param {{from: number, to: number, low: number, high: number}} extent @param {number} width
 * @returns {Scale}
 */
export function scaleOf(extent, width) {
  let { low, high } = extent;
  const room = (high - low) * 0.06 || Math.abs(high) * 0.05 || 1;
  [low, high] = [low - room, high + room];
  const { from } = extent;
  const to = Math.max(extent.to, from + 1);
  const right = width - RIGHT, bottom = HEIGHT - BELOW;
  return {
    from,
    to,
    low,
    high,
    right,
    bottom,
    x: (t) => LEFT + (t - from) / (to - from) * (right - LEFT),
    y: (value) => TOP + (high - value) / (high - low) * (bottom - TOP),
    t: (x) => from + (x - LEFT) / (right - LEFT) * (to - from),
  };
}

/**
 * @param {CanvasRenderingContext2D} g @param {{line: string, text: string}} colors @param {Scale} scale
 */
export function drawAxes(g, colors, { from, to, low, high, right, bottom, y }) {
  g.lineWidth = 1;
  g.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  g.strokeStyle = colors.line;
  g.fillStyle = colors.text;
  g.textBaseline = "middle";
  g.textAlign = "right";
  for (const value of ticks(low, high, 4)) {
    const at = Math.round(y(value)) + 0.5;
    g.beginPath();
    g.moveTo(LEFT, at);
    g.lineTo(right, at);
    g.stroke();
    g.fillText(shortNumber(value, high - low), LEFT - 8, at);
  }
  g.textBaseline = "alphabetic";
  const time = to - from > 20 * 3600_000 ? moment : (/** @type {number} */ t) => clock(t, false);
  for (
    const [part, align] of /** @type {const} */ ([[0, "left"], [0.5, "center"], [1, "right"]])
  ) {
    g.textAlign = align;
    g.fillText(time(from + part * (to - from)), LEFT + part * (right - LEFT), bottom + 15);
  }
}

/**
 * A line through the last value of every pixel, and what lies between lowest and highest in it.
 * @param {CanvasRenderingContext2D} g @param {Series} series @param {boolean} isChosen
 * @param {Scale} scale
 */
export function drawLine(g, { points }, isChosen, { x, y }) {
  g.lineWidth = isChosen ? 2 : 1.3;
  g.lineJoin = "round";
  g.beginPath();
  let column = -1, low = 0, high = 0, last = 0;
  const finish = () => {
    if (column < 0) return;
    g.lineTo(column, y(last));
    if (high !== low) {
      g.moveTo(column, y(high));
      g.lineTo(column, y(low));
      g.moveTo(column, y(last));
    }
  };
  for (const { t, value } of points) {
    const at = Math.round(x(t));
    if (at !== column) {
      finish();
      [column, low, high] = [at, value, value];
    }
    low = Math.min(low, value);
    high = Math.max(high, value);
    last = value;
  }
  finish();
  g.stroke();
  if (points.length && column >= 0) {
    g.beginPath();
    g.arc(column, y(last), 2.6, 0, 7);
    g.fill();
  }
}

/** @param {CanvasRenderingContext2D} g @param {Series} series @param {Scale} scale */
export function drawPercentiles(g, { p50, p95 }, { right, y }) {
  g.save();
  g.lineWidth = 1;
  g.textAlign = "left";
  for (
    const [name, value, dash] of /** @type {const} */ ([["p50", p50, [6, 4]], ["p95", p95, [2, 3]]])
  ) {
    g.setLineDash(dash);
    g.beginPath();
    g.moveTo(LEFT, y(value));
    g.lineTo(right, y(value));
    g.stroke();
    g.fillText(name, LEFT + 4, y(value) + (name === "p50" ? 11 : -3));
  }
  g.restore();
}

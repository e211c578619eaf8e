/**
 * How times are written: on the clock of the server, in the zone of the browser, in UTC, or as ages.
 *
 * @module
 */

import { prefs } from "./prefs.js";

const DAY = 86_400_000;
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** How far the server's clock is ahead of this browser's, in milliseconds. */
let ahead = 0;
/** Whether that is known to the millisecond. */
let isExact = false;
/** Up to this difference, in milliseconds, a time in whole seconds may be that of this browser. */
const ROUGH = 2000;

/**
 * Learns what time it is for the server, from the age of a pool's newest message.
 * @param {import("./api.js").Pool} pool
 */
export function noteServerTime({ metrics }) {
  const { newest_time: time, newest_age_ms: age } = metrics?.age ?? {};
  const now = Date.parse(time ?? "") + Number(age);
  // A message from the future has no age.
  if (!age || Number.isNaN(now)) return;
  ahead = now - Date.now();
  isExact = true;
}

/**
 * Learns what time it is for the server, to a second, where no pool with a message has told it.
 * @param {Headers} headers of an answer
 */
export function noteServerDate(headers) {
  const now = Date.parse(headers.get("date") ?? "") + 500;
  if (isExact || Number.isNaN(now)) return;
  ahead = Math.abs(now - Date.now()) < ROUGH ? 0 : now - Date.now();
}

/** What time it is for the server: the clock of this machine may be wrong. */
export const serverNow = () => Date.now() + ahead;

const pad = (/** @type {number} */ n, width = 2) => String(n).padStart(width, "0");

/** The parts of a time, in the zone that is preferred. @param {number} t */
function parts(t) {
  const d = new Date(t);
  return prefs.times === "utc"
    ? {
      year: d.getUTCFullYear(),
      month: d.getUTCMonth(),
      date: d.getUTCDate(),
      weekday: d.getUTCDay(),
      time: [d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds()],
    }
    : {
      year: d.getFullYear(),
      month: d.getMonth(),
      date: d.getDate(),
      weekday: d.getDay(),
      time: [d.getHours(), d.getMinutes(), d.getSeconds()],
    };
}

/** The time of day. @param {number} t @param {boolean} [ms] with milliseconds */
export function clock(t, ms = true) {
  const text = parts(t).time.map((n) => pad(n)).join(":");
  return ms ? `${text}.${pad(new Date(t).getMilliseconds(), 3)}` : text;
}

/** Whether two times are on the same day. @param {number} a @param {number} b */
export function isSameDay(a, b) {
  if (Math.abs(a - b) >= DAY) return false;
  const [x, y] = [parts(a), parts(b)];
  return x.date === y.date && x.month === y.month;
}

/** `27 Nov`, with the year if it is another one. @param {number} t */
function dateOf(t) {
  const { year, month, date } = parts(t);
  return `${date} ${MONTHS[month]}${year === parts(serverNow()).year ? "" : ` ${year}`}`;
}

/** Date and time; the date is left out for today, the year for this year. @param {number} t */
export function moment(t) {
  return isSameDay(t, serverNow()) ? clock(t, false) : `${dateOf(t)} ${clock(t, false)}`;
}

/** `Friday, 27 Nov 2026`. @param {number} t */
export function dayOf(t) {
  const { year, month, date, weekday } = parts(t);
  return `${DAYS[weekday]}, ${date} ${MONTHS[month]} ${year}`;
}

/** The time in a row: 13 characters at most, with the date if it is not today. @param {number} t */
export function stamp(t) {
  if (prefs.times === "relative") return ago(t);
  if (isSameDay(t, serverNow())) return clock(t);
  const isThisYear = parts(t).year === parts(serverNow()).year;
  return isThisYear ? `${dateOf(t)} ${clock(t, false).slice(0, 5)}` : dateOf(t);
}

/** A duration in its two largest units: `2 h 14 min`. @param {number} ms */
export function span(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 1) return `${Math.round(ms)} ms`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.floor(s)} s`;
  const two = (
    /** @type {number} */ a,
    /** @type {string} */ x,
    /** @type {number} */ b,
    /** @type {string} */ y,
  ) => b ? `${a} ${x} ${b} ${y}` : `${a} ${x}`;
  if (s < 3600) return two(Math.floor(s / 60), "min", Math.floor(s % 60), "s");
  if (s < 86400) return two(Math.floor(s / 3600), "h", Math.floor(s / 60) % 60, "min");
  return two(Math.floor(s / 86400), "d", Math.floor(s / 3600) % 24, "h");
}

/** The largest unit of a duration: `3 h`. @param {number} ms */
export const roughly = (ms) => span(Math.max(1000, ms)).replace(/\.\d/, "").split(" ", 2).join(" ");

/** @param {number} t @param {number} [now] */
export const ago = (t, now = serverNow()) => now - t < 1000 ? "now" : `${roughly(now - t)} ago`;

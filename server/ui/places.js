/**
 * Where in a pool somebody wants to go: a number, a time of day, a date, or so long ago.
 *
 * @module
 */

/** @typedef {{seq: bigint} | {time: number} | {ago: number} | {end: "oldest" | "newest"}} Place */

/** Milliseconds by unit. @type {Record<string, number>} */
const UNITS = { s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const DURATION = /^(?:\d+(?:\.\d+)?\s*(?:min|[smhdw])\s*)+(?:ago)?$/i;

/**
 * Reads a text such as `1234`, `14:05`, `2026-11-27 14:05`, `15m` or `1h30m`; null if it is none.
 * @param {string} text
 * @param {number} now
 * @param {boolean} utc whether times without a zone are in UTC
 * @returns {Place | null}
 */
export function placeOf(text, now, utc) {
  const trimmed = text.trim().replace(/^[#-]\s*/, "");
  if (/^\d{1,20}$/.test(trimmed)) return { seq: BigInt(trimmed) };
  if (/^(?:oldest|first|start)$/i.test(trimmed)) return { end: "oldest" };
  if (/^(?:newest|last|end|live|now)$/i.test(trimmed)) return { end: "newest" };
  if (DURATION.test(trimmed)) {
    let ago = 0;
    for (const [, n, unit = ""] of trimmed.matchAll(/(\d+(?:\.\d+)?)\s*(min|[smhdw])/gi)) {
      ago += Number(n) * (UNITS[unit.toLowerCase()] ?? 0);
    }
    return { ago };
  }
  const time = timeOf(trimmed, now, utc);
  return time === null ? null : { time };
}

/** @param {string} text @param {number} now @param {boolean} utc */
function timeOf(text, now, utc) {
  const clock = /^(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d{1,9})?))?$/.exec(text);
  if (clock) return timeOfDay(clock, now, utc);
  const date =
    /^(\d{4}-\d{2}-\d{2})(?:[T\s]+(\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?\s*(Z|[+-]\d{2}:?\d{2})?)?$/i
      .exec(text);
  if (!date) return null;
  const [, day, hours = "00:00", zone = utc ? "Z" : ""] = date;
  const time = Date.parse(
    `${day}T${
      hours.padStart(hours.indexOf(":") === 1 ? hours.length + 1 : 0, "0")
    }${zone.toUpperCase()}`,
  );
  return Number.isNaN(time) ? null : time;
}

/** That time of today, or of yesterday if it is still to come. @param {RegExpExecArray} clock @param {number} now @param {boolean} utc */
function timeOfDay([, hour, minute, second = "0"], now, utc) {
  const [h, m, s] = [Number(hour), Number(minute), Number(second)];
  if (h > 23 || m > 59 || s >= 60) return null;
  const date = new Date(now);
  const at = (/** @type {number} */ daysBefore) => {
    if (utc) {
      return Date.UTC(
        date.getUTCFullYear(),
        date.getUTCMonth(),
        date.getUTCDate() - daysBefore,
        h,
        m,
      );
    }
    return new Date(date.getFullYear(), date.getMonth(), date.getDate() - daysBefore, h, m)
      .getTime();
  };
  const today = at(0) + s * 1000;
  return today <= now ? today : at(1) + s * 1000;
}

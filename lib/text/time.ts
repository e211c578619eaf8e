/**
 * Converts times between nanoseconds since 1970 and RFC 3339 text, and parses `--since` values.
 *
 * @module
 */

import { Buf, printPadded } from "../bytes.ts";

const U64_MAX = 2n ** 64n - 1n;
const RFC3339 =
  /^(\d{4})-(\d\d)-(\d\d)[^](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))$/u;

/** The text of one second, which is usually the same for the next message. */
let cached: DataView | undefined;
let cachedSecond = -1;

/** The current time in nanoseconds since 1970. */
export function nowNs(): bigint {
  return Temporal.Now.instant().epochNanoseconds;
}

/** The last time that was read, as u32 halves, and when: in ms since 1970 and since the start. */
let readLo = 0;
let readHi = 0;
let readMs = -1;
let readAt = 0;

/**
 * The current time as the u32 halves of nanoseconds since 1970. Temporal needs half a microsecond
 * and two objects for it, so for the rest of a millisecond the cheaper clocks count on.
 */
export function nowHalves(): { lo: number; hi: number } {
  const ms = Date.now();
  if (ms !== readMs) {
    const ns = nowNs();
    readAt = performance.now();
    readMs = ms;
    readLo = Number(ns & 0xffff_ffffn);
    readHi = Number(ns >> 32n);
    return { lo: readLo, hi: readHi };
  }
  return addNs(readLo, readHi, Math.round((performance.now() - readAt) * 1e6));
}

/** A time some nanoseconds later; less than 2^32 of them. */
export function addNs(lo: number, hi: number, ns: number): { lo: number; hi: number } {
  const sum = lo + ns;
  return sum < 0x1_0000_0000 ? { lo: sum, hi } : { lo: sum - 0x1_0000_0000, hi: hi + 1 };
}

/**
 * Appends a time, given as the u32 halves of nanoseconds since 1970, as RFC 3339 in UTC with as
 * many fractional digits as needed (docs/spec/command-line.md 1.6): `2026-02-01T00:00:00.1234567Z`.
 */
export function printTime(lo: number, hi: number, out: Buf): void {
  out.reserve(32);
  // The double is off by less than 2^11, so the second by at most one; the nanoseconds modulo 2^32
  // reveal it.
  let second = Math.floor((hi * 0x100000000 + lo) / 1e9);
  let ns = (lo - Math.imul(second % 0x100000000 | 0, 1e9)) | 0;
  if (ns < 0) {
    second--;
    ns += 1e9;
  } else if (ns >= 1e9) {
    second++;
    ns -= 1e9;
  }
  if (cached === undefined || second !== cachedSecond) cached = dateTime(second);
  const { dv } = out;
  let o = out.len;
  dv.setInt32(o, cached.getInt32(0, true), true);
  dv.setInt32(o + 4, cached.getInt32(4, true), true);
  dv.setInt32(o + 8, cached.getInt32(8, true), true);
  dv.setInt32(o + 12, cached.getInt32(12, true), true);
  dv.setInt32(o + 16, cached.getInt32(16, true), true);
  o += 19;
  if (ns !== 0) {
    dv.setUint8(o, 0x2e);
    const high = (ns / 10000) | 0;
    printPadded(dv, o + 1, high, 5);
    printPadded(dv, o + 6, ns - high * 10000, 4);
    o += 9;
    while (dv.getUint8(o) === 0x30) o--;
    o++;
  }
  dv.setUint8(o, 0x5a);
  out.len = o + 1;
}

/**
 * `2026-02-01T00:00:00` and one byte more, for a second since 1970 below 2^64 ns. The first
 * `toISOString` of a process takes longer than to append a message.
 */
function dateTime(second: number): DataView {
  const view = cached ?? new DataView(new ArrayBuffer(20));
  const days = Math.floor(second / 86_400);
  const rest = second - days * 86_400;
  let year = 1970 + Math.floor(days / 365.2425);
  if (daysBefore(year) > days) year--;
  else if (daysBefore(year + 1) <= days) year++;
  let day = days - daysBefore(year);
  let month = 1;
  for (let length = 31; day >= length; length = daysOf(month, year)) {
    day -= length;
    month++;
  }
  printPadded(view, 0, year, 4);
  view.setUint8(4, 0x2d);
  printPadded(view, 5, month, 2);
  view.setUint8(7, 0x2d);
  printPadded(view, 8, day + 1, 2);
  view.setUint8(10, 0x54);
  printPadded(view, 11, (rest / 3600) | 0, 2);
  view.setUint8(13, 0x3a);
  printPadded(view, 14, (rest / 60 | 0) % 60, 2);
  view.setUint8(16, 0x3a);
  printPadded(view, 17, rest % 60, 2);
  cachedSecond = second;
  return view;
}

/** The days from 1970 to the start of a year. */
function daysBefore(year: number): number {
  const last = year - 1;
  const leaps = Math.floor(last / 4) - Math.floor(last / 100) + Math.floor(last / 400);
  return 365 * (year - 1970) + leaps - 477; // As many leap years before 1970.
}

function daysOf(month: number, year: number): number {
  if (month === 2) return 28 + daysBefore(year + 1) - daysBefore(year) - 365;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** What {@linkcode formatTime} prints into, and what makes text of it. */
let formatted: Buf | undefined;
let decoder: TextDecoder | undefined;

/** A time in nanoseconds since 1970 (0 to 2^64 - 1) as RFC 3339 text. */
export function formatTime(ns: bigint): string {
  const out = formatted ??= new Buf(32);
  out.clear();
  const u64 = BigInt.asUintN(64, ns);
  printTime(Number(u64 & 0xffffffffn), Number(u64 >> 32n), out);
  return (decoder ??= new TextDecoder()).decode(out.bytes());
}

/**
 * Parses RFC 3339 text to nanoseconds since 1970, which may be negative; undefined if it is
 * invalid. Any single character may separate date and time, digits after the ninth of a fraction
 * are ignored, and `:60` is accepted only where a leap second can occur (docs/spec/command-line.md
 * 1.4).
 */
export function parseRfc3339(text: string): bigint | undefined {
  return timeInMinute(text) ?? parseWhole(text);
}

/** The last minute that was parsed, as text of that many characters and since 1970. */
const MINUTE_LENGTH = 17;
let minuteText = "";
let minuteNs = 0n;

/** A time in the same minute as one before, as the times of most messages are; else undefined. */
function timeInMinute(text: string): bigint | undefined {
  const { length } = text;
  if (length < 20 || length > 30 || !text.startsWith(minuteText) || minuteText === "") {
    return undefined;
  }
  if (text.charCodeAt(length - 1) !== 0x5a) return undefined;
  let ns = 0;
  for (let i = MINUTE_LENGTH, scale = 1e10; i < length - 1; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (i === MINUTE_LENGTH + 2) {
      if (digit !== -2 || length === 21) return undefined; // A point, and digits behind it.
      continue;
    }
    if (digit < 0 || digit > 9 || (i === MINUTE_LENGTH && digit > 5)) return undefined;
    ns += digit * scale;
    scale /= 10;
  }
  return minuteNs + BigInt(ns);
}

function parseWhole(text: string): bigint | undefined {
  const m = RFC3339.exec(text);
  if (m === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, , sign, offsetHour, offsetMinute] = m;
  const mo = Number(month);
  const h = Number(hour);
  const mi = Number(minute);
  const s = Number(second);
  const oh = Number(offsetHour ?? 0);
  const om = Number(offsetMinute ?? 0);
  if (h > 23 || mi > 59 || s > 60 || oh > 23 || om > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), mo - 1, Number(day));
  // A day that the month does not have shifts the date to another month.
  if (date.getUTCMonth() !== mo - 1 || date.getUTCDate() !== Number(day)) return undefined;
  const offset = (sign === "-" ? -1 : 1) * (oh * 60 + om);
  const minutes = date.getTime() / 60_000 + h * 60 + mi - offset;
  if (s === 60) {
    const utc = new Date(minutes * 60_000);
    const next = new Date((minutes + 1) * 60_000);
    if (utc.getUTCHours() !== 23 || utc.getUTCMinutes() !== 59 || next.getUTCDate() !== 1) {
      return undefined;
    }
    // As in the reference: the last nanosecond of the previous second.
    return BigInt(minutes * 60 + 59) * 1_000_000_000n + 999_999_999n;
  }
  if (sign === undefined && text[MINUTE_LENGTH - 1] === ":") {
    minuteText = text.slice(0, MINUTE_LENGTH);
    minuteNs = BigInt(minutes) * 60_000_000_000n;
  }
  const ns = Number((fraction ?? "").slice(0, 9).padEnd(9, "0"));
  return BigInt(minutes * 60 + s) * 1_000_000_000n + BigInt(ns);
}

/** Clamps a time in nanoseconds since 1970 to the range of a pool: 0 … 2^64 - 1. */
export function clampTime(ns: bigint): bigint {
  return ns < 0n ? 0n : ns > U64_MAX ? U64_MAX : ns;
}

/**
 * Parses a start time: an RFC 3339 time, or an age as digits and one of `s m h d`
 * (docs/spec/command-line.md 1.4). The result is clamped to 0 … 2^64 - 1; undefined if it is
 * neither.
 *
 * @param now the time in nanoseconds since 1970 that ages are relative to
 */
export function readSince(text: string, now: bigint = nowNs()): bigint | undefined {
  const trimmed = text.trim();
  const relative = /^(\d+)([smhd])$/i.exec(trimmed);
  let ns: bigint | undefined;
  if (relative !== null) {
    const [, digits = "", unit = ""] = relative;
    const seconds = { s: 1n, m: 60n, h: 3600n, d: 86_400n }[unit.toLowerCase()] ?? 0n;
    ns = now - BigInt(digits) * seconds * 1_000_000_000n;
  } else ns = parseRfc3339(trimmed);
  return ns === undefined ? undefined : clampTime(ns);
}

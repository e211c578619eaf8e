/**
 * The reference's writer (0.8), written from docs/spec/format.md 3 alone: its plan with its padding
 * and its lazy tail, its stores in its order. Every store is one step, so that a test can stop it,
 * or let others look, between any two.
 *
 * @module
 */

/** The mapped file. */
export interface Mapping {
  read(at: number, length: number): Uint8Array<ArrayBuffer>;
  write(bytes: Uint8Array, at: number): void;
}

/** What the reference would have reported. */
export class RefError extends Error {}

/**
 * The phases of docs/spec/format.md 3.5; a step carries the phase whose store has just been done.
 */
export type Phase = "wrap" | "writing" | "payload" | "commit" | "index" | "publish";

const align8 = (n: number): number => Math.ceil(n / 8) * 8;
const MARK = new TextEncoder().encode("PLSMCMIT");

interface Head {
  C: number;
  ring: number;
  capacity: number;
  h: number;
  t: number;
  n: number;
  o: bigint;
  s: bigint;
}

function readHead(map: Mapping): Head {
  const dv = new DataView(map.read(0, 104).buffer);
  const u64 = (at: number): number => Number(dv.getBigUint64(at, true));
  return {
    C: u64(48),
    ring: u64(40),
    capacity: dv.getUint32(32, true),
    h: u64(64),
    t: u64(72),
    n: u64(80),
    o: dv.getBigUint64(88, true),
    s: dv.getBigUint64(96, true),
  };
}

interface Decoded {
  state: number;
  seq: bigint;
  L: number;
}

/** Static validity (docs/spec/format.md 2). */
function decode(map: Mapping, { C, ring }: Head, at: number): Decoded {
  if (at + 64 > C) throw new RefError("frame header too small");
  const dv = new DataView(map.read(ring + at, 64).buffer);
  if (dv.getUint32(0, true) !== 0x314d5246) throw new RefError("bad frame magic");
  const state = dv.getUint32(4, true);
  if (state > 3) throw new RefError("invalid frame state");
  if (dv.getUint32(12, true) !== 64) throw new RefError("unexpected header length");
  const length = dv.getUint32(32, true);
  if (dv.getUint32(36, true) !== (~length >>> 0)) throw new RefError("payload length xor mismatch");
  if (length > Math.max(0, C - 72)) throw new RefError("payload length exceeds max");
  return { state, seq: dv.getBigUint64(16, true), L: align8(72 + length) };
}

function nextOf(map: Mapping, head: Head, t: number): number {
  if (head.C - t < 64) return 0;
  const item = decode(map, head, t);
  if (item.state === 3) return 0;
  if (item.state !== 2) throw new RefError("invalid tail frame state");
  return t + item.L === head.C ? 0 : t + item.L;
}

interface RefPlan {
  wrapAt: number | null;
  f: number;
  L: number;
  head: number;
  tail: number;
  tailNext: number;
  oldest: bigint;
  newest: bigint;
}

/** The plan of docs/spec/format.md 3.2, line by line. */
function plan(map: Mapping, head: Head, payload: number): RefPlan {
  const { C, h, s } = head;
  const L = align8(72 + payload);
  if (payload > Math.max(0, C - 72)) throw new RefError("payload exceeds ring capacity");
  if (L > C) throw new RefError("frame larger than ring");
  let { t, n, o } = head;
  if (o === 0n) {
    if (h !== t) throw new RefError("empty pool head/tail mismatch");
    n = t;
  }
  const mustWrap = C - h < L;
  for (;;) {
    const rem = C - h;
    const need = o === 0n || rem >= L ? L : rem >= 64 ? L + 64 : L + rem;
    const used = h === t ? (o === 0n ? 0 : C) : h > t ? h - t : C - (t - h);
    const clash = mustWrap && o !== 0n && t < L;
    if (C - used >= need && !clash) break;
    const plausible = n !== 0 && n < C && n % 8 === 0 && C - n >= 64;
    if (plausible && n > t && n - t >= 64) {
      t = n;
      o = n === h ? 0n : o + 1n;
    } else if (plausible && n === t && h === t) {
      o = 0n;
    } else if (C - t < 64) {
      t = 0;
      if (h === 0) o = 0n;
    } else {
      const item = decode(map, head, t);
      if (item.state === 3) t = 0;
      else if (item.state === 2) {
        o = item.seq + 1n;
        t += item.L;
        if (t === C) t = 0;
      } else throw new RefError("invalid tail frame state");
    }
    n = 0;
    if (t === h) o = 0n;
    n = t;
  }
  let wrapAt: number | null = null;
  let f = h;
  if (C - h < L) {
    if (C - h >= 64) wrapAt = h;
    f = 0;
  }
  const empty = o === 0n;
  if (empty) t = f;
  const q = s === 0n ? 1n : s + 1n;
  const next = f + L === C ? 0 : f + L;
  const tailNext = empty ? next : t === head.t ? head.n : nextOf(map, head, t);
  return { wrapAt, f, L, head: next, tail: t, tailNext, oldest: empty ? q : o, newest: q };
}

function header(state: number, seq: bigint, time: bigint, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(64);
  const dv = new DataView(bytes.buffer);
  dv.setUint32(0, 0x314d5246, true);
  dv.setUint32(4, state, true);
  dv.setUint32(12, 64, true);
  dv.setBigUint64(16, seq, true);
  dv.setBigUint64(24, time, true);
  dv.setUint32(32, length, true);
  dv.setUint32(36, ~length >>> 0, true);
  return bytes;
}

function u64(value: bigint): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

/**
 * Appends one payload; the lock is the caller's business.
 *
 * @param piece how many payload bytes one store covers
 * @returns the sequence number
 * @throws {RefError} where the reference reports Usage or Corrupt; then nothing was stored
 */
export function* refAppend(
  map: Mapping,
  payload: Uint8Array,
  time: bigint,
  piece = 1 << 20,
): Generator<Phase, bigint> {
  const old = readHead(map);
  const p = plan(map, old, payload.length);
  const { ring } = old;
  if (p.wrapAt !== null) {
    map.write(header(3, 0n, 0n, 0), ring + p.wrapAt);
    yield "wrap";
  }
  map.write(header(1, p.newest, time, payload.length), ring + p.f);
  yield "writing";
  for (let at = 0; at < payload.length; at += piece) {
    map.write(payload.subarray(at, at + piece), ring + p.f + 64 + at);
    yield "payload";
  }
  map.write(MARK, ring + p.f + 64 + payload.length);
  yield "payload";
  map.write(header(2, p.newest, time, payload.length), ring + p.f);
  yield "commit";
  if (old.capacity > 0) {
    const slot = 4096 + 16 * Number(p.newest % BigInt(old.capacity));
    map.write(u64(p.newest), slot);
    yield "index";
    map.write(u64(BigInt(p.f)), slot + 8);
    yield "index";
  }
  const fields = [BigInt(p.head), BigInt(p.tail), BigInt(p.tailNext), p.oldest, p.newest];
  for (const [i, field] of fields.entries()) {
    map.write(u64(field), 64 + 8 * i);
    yield "publish";
  }
  return p.newest;
}

/** Appends one payload to the end. */
export function refAppendAll(map: Mapping, payload: Uint8Array, time: bigint): bigint {
  const steps = refAppend(map, payload, time);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** A file in memory as the reference sees it. */
export function mapBytes(file: Uint8Array): Mapping {
  return {
    read: (at, length) => file.slice(at, at + length) as Uint8Array<ArrayBuffer>,
    write: (bytes, at) => file.set(bytes, at),
  };
}

/**
 * A checker of pool files written only from the specification (docs/spec/format.md 1, 2, 3.4, 5.2,
 * 10). It imports nothing from lib/, so that it and the ring cannot be wrong in the same way.
 *
 * @module
 */

/** One live message, found by walking from the tail. */
export interface Found {
  readonly seq: bigint;
  readonly time: bigint;
  readonly at: number;
  readonly length: number;
  readonly crc: number;
  readonly payload: Uint8Array;
}

/** The state block as it stands in the file. */
export interface SpecState {
  readonly head: number;
  readonly tail: number;
  readonly tailNext: number;
  readonly oldest: bigint;
  readonly newest: bigint;
}

/** What was found in a file. */
export interface Verdict {
  readonly problems: readonly string[];
  readonly messages: readonly Found[];
  readonly state: SpecState;
}

/** CRC-32C bit by bit, as docs/spec/format.md 2 defines it. */
export function specCrc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? 0x82f6_3b78 : 0);
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}

const align8 = (n: number): number => Math.ceil(n / 8) * 8;

function ascii(bytes: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

function zero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return false;
  return true;
}

/**
 * Checks the bytes of a whole pool file.
 *
 * @param safe whether only writers that follow docs/spec/format.md 5.2 may have written: then the
 *   tail is on a committed frame, tail_next is exact, avoidable padding is absent and live index
 *   slots are right
 */
export function specCheck(file: Uint8Array, safe = true): Verdict {
  const problems: string[] = [];
  const messages: Found[] = [];
  const dv = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const u64 = (at: number): number => Number(dv.getBigUint64(at, true));
  const state: SpecState = {
    head: u64(64),
    tail: u64(72),
    tailNext: u64(80),
    oldest: dv.getBigUint64(88, true),
    newest: dv.getBigUint64(96, true),
  };
  const verdict = { problems, messages, state };
  const need = (ok: boolean, problem: string): boolean => {
    if (!ok) problems.push(problem);
    return ok;
  };

  // docs/spec/format.md 1.1, 1.6
  need(ascii(file, 0, "PLSM"), "bad magic");
  need(dv.getUint32(4, true) === 3, "version");
  need(file[8] === 1, "endianness");
  need(
    zero(file, 9, 16) && zero(file, 36, 40) && zero(file, 104, 128) && zero(file, 192, 4096),
    "reserved bytes not zero",
  );
  // docs/spec/format.md 15
  need(
    zero(file, 128, 192) || (ascii(file, 128, "PLSX") && dv.getUint16(132, true) === 1 &&
      zero(file, 134, 136) && zero(file, 168, 188) &&
      dv.getUint32(188, true) === specCrc32c(file.subarray(128, 188))),
    "extension block",
  );
  need(u64(16) === file.length, "file_size");
  need(u64(24) === 4096, "index_offset");
  const capacity = dv.getUint32(32, true);
  const ring = u64(40);
  const C = u64(48);
  need(ring === 4096 + 16 * capacity, "ring_offset");
  need(ring + C === file.length, "ring bounds");
  need(C > 0, "ring_size");
  need(dv.getBigUint64(56, true) === 0n, "flags");
  const { head, tail, tailNext, oldest, newest } = state;
  for (const [name, offset] of [["head", head], ["tail", tail], ["tail_next", tailNext]] as const) {
    need(offset < C, `${name} out of range`);
    need(offset % 8 === 0, `${name} not aligned`);
  }
  need(oldest === 0n || oldest <= newest, "seq bounds inverted");
  if (problems.length > 0) return verdict;
  if (oldest === 0n) {
    need(head === tail && head === tailNext, "empty header offsets mismatch");
    return verdict;
  }

  // docs/spec/format.md 2, 10: the chain from the tail
  const isWrap = (x: number): boolean =>
    C - x >= 64 && ascii(file, ring + x, "FRM1") && dv.getUint32(ring + x + 4, true) === 3 &&
    dv.getUint32(ring + x + 12, true) === 64;
  let x = tail;
  const limit = BigInt(Math.floor(C / 64) + 2);
  if (!need(newest - oldest < limit, "more messages than fit")) return verdict;
  for (let seq = oldest; seq <= newest; seq++) {
    const here = x;
    if (C - x < 64 || isWrap(x)) x = 0;
    if (safe && seq === oldest) need(x === here, "tail not on a frame");
    const at = ring + x;
    const where = ` at ring offset ${x} (seq ${seq})`;
    if (!need(ascii(file, at, "FRM1"), "bad frame magic" + where)) return verdict;
    if (!need(dv.getUint32(at + 4, true) === 2, "not committed" + where)) return verdict;
    need(dv.getUint32(at + 8, true) === 0, "frame flags" + where);
    need(dv.getUint32(at + 12, true) === 64, "header_len" + where);
    if (!need(dv.getBigUint64(at + 16, true) === seq, "seq mismatch" + where)) return verdict;
    const size = dv.getUint32(at + 32, true);
    need(dv.getUint32(at + 36, true) === (~size >>> 0), "xor" + where);
    need(zero(file, at + 44, at + 64), "reserved frame bytes" + where);
    const L = align8(64 + size + 8);
    if (!need(size <= C - 72 && x + L <= C, "frame exceeds ring" + where)) return verdict;
    const payload = file.slice(at + 64, at + 64 + size);
    need(ascii(file, at + 64 + size, "PLSMCMIT"), "commit marker" + where);
    const crc = dv.getUint32(at + 40, true);
    need(crc === 0 || crc === specCrc32c(payload), "crc32c" + where);
    const end = x + L;
    const next = end === C ? 0 : end;
    if (seq === oldest) {
      const exact = x === here ? tailNext === next : true;
      need(exact || (!safe && tailNext === 0), `tail_next ${tailNext}, not ${next}`);
    }
    if (safe && C - end > 0 && C - end < 64) {
      need(C - L > 0 && C - L < 64, "avoidable padding" + where);
    }
    messages.push({ seq, time: dv.getBigUint64(at + 24, true), at: x, length: L, crc, payload });
    x = next;
  }
  // The last frame may end in padding; head then stands right behind the frame, or at 0.
  need(x === head, `head ${head}, not ${x}`);
  // Live frames do not overlap, and live items never pass the head.
  const used = head === tail ? C : head > tail ? head - tail : C - (tail - head);
  const total = messages.reduce((sum, m) => sum + m.length, 0);
  need(total <= used, "frames overlap");

  // docs/spec/format.md 1.3: slots of live messages
  const byNumber = new Map(messages.map((m) => [m.seq, m]));
  for (let i = 0; i < capacity; i++) {
    const slot = dv.getBigUint64(4096 + 16 * i, true);
    if (slot === 0n) continue;
    need(slot % BigInt(capacity) === BigInt(i), `slot ${i} holds seq ${slot}`);
    const found = byNumber.get(slot);
    if (safe && found !== undefined) {
      need(u64(4096 + 16 * i + 8) === found.at, `slot ${i} of seq ${slot} points elsewhere`);
    }
  }
  return verdict;
}

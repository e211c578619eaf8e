/**
 * CRC-32C (Castagnoli) of a payload, for the frame field that the reference leaves 0
 * (docs/spec/format.md 2).
 *
 * @module
 */

/** The number of bytes processed one by one before building the large tables pays off. */
const SMALL = 16384;
const POLYNOMIAL = 0x82f63b78;

let small: Int32Array | undefined;
let large: Int32Array | undefined;
let summed = 0;

/**
 * The checksum of `len` bytes at `start`; `dv` is a view of the same bytes as `u8`.
 *
 * @param before the checksum of the bytes before them, which they continue
 */
export function crc32c(
  u8: Uint8Array,
  dv: DataView,
  start: number,
  len: number,
  before = 0,
): number {
  let crc = ~before;
  let p = start;
  const end = start + len;
  if (large !== undefined) {
    const t = large;
    for (const stop = end - 16; p <= stop; p += 16) {
      const a = dv.getInt32(p, true) ^ crc;
      const b = dv.getInt32(p + 4, true);
      const c = dv.getInt32(p + 8, true);
      const d = dv.getInt32(p + 12, true);
      crc = (t[0xf00 + (a & 255)] as number) ^ (t[0xe00 + ((a >>> 8) & 255)] as number) ^
        (t[0xd00 + ((a >>> 16) & 255)] as number) ^ (t[0xc00 + (a >>> 24)] as number);
      // Lite3 nodes are mostly zeros, whose table entries are 0: skipping them is worth a branch.
      if ((b | c | d) === 0) continue;
      crc ^= (t[0xb00 + (b & 255)] as number) ^ (t[0xa00 + ((b >>> 8) & 255)] as number) ^
        (t[0x900 + ((b >>> 16) & 255)] as number) ^ (t[0x800 + (b >>> 24)] as number) ^
        (t[0x700 + (c & 255)] as number) ^ (t[0x600 + ((c >>> 8) & 255)] as number) ^
        (t[0x500 + ((c >>> 16) & 255)] as number) ^ (t[0x400 + (c >>> 24)] as number) ^
        (t[0x300 + (d & 255)] as number) ^ (t[0x200 + ((d >>> 8) & 255)] as number) ^
        (t[0x100 + ((d >>> 16) & 255)] as number) ^ (t[d >>> 24] as number);
    }
  } else if ((summed += len) > SMALL) {
    large = largeTable();
    return crc32c(u8, dv, start, len, before);
  }
  const t = large ?? (small ??= smallTable());
  for (; p < end; p++) crc = (t[(crc ^ dv.getUint8(p)) & 255] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** The checksums of single bytes; the checksum of `a ^ b` is the XOR of their checksums. */
function smallTable(): Int32Array {
  const t = new Int32Array(256);
  let crc = 1;
  for (let i = 128; i > 0; i >>= 1) {
    crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    for (let j = 0; j < 256; j += 2 * i) t[i + j] = crc ^ (t[j] as number);
  }
  return t;
}

/** Sixteen tables: number k has the checksums of a byte followed by k zero bytes. */
function largeTable(): Int32Array {
  const t = new Int32Array(4096);
  t.set(small ?? smallTable());
  for (let i = 256; i < 4096; i++) {
    const before = t[i - 256] as number;
    t[i] = (t[before & 255] as number) ^ (before >>> 8);
  }
  return t;
}

/**
 * Finds a single flipped bit by its checksum: in CRC-32C every single-bit error has a distinct
 * difference.
 *
 * @module
 */

const POLYNOMIAL = 0x82f6_3b78;

/** The largest payload in bytes: above it, other damage would be mistaken for one bit too often. */
const LARGEST = 65536;

/**
 * The bit whose flip explains the difference between two checksums of `len` bytes: its number from
 * the start, lowest bit of each byte first; -1 if the flipped bit is in the checksum itself; null
 * if no single bit explains it.
 */
export function flippedBit(stored: number, computed: number, len: number): number | null {
  const wanted = (stored ^ computed) >>> 0;
  if (wanted !== 0 && (wanted & (wanted - 1)) === 0) return -1;
  if (len > LARGEST) return null;
  // The difference caused by a flip of the last bit; each iteration moves one bit earlier.
  let difference = POLYNOMIAL;
  for (let bit = len * 8 - 1; bit >= 0; bit--) {
    if (difference >>> 0 === wanted) return bit;
    difference = (difference >>> 1) ^ ((difference & 1) === 1 ? POLYNOMIAL : 0);
  }
  return null;
}

/**
 * One flipped bit, found by its checksum: CRC-32C tells every single-bit error from every other.
 *
 * @module
 */

const POLYNOMIAL = 0x82f6_3b78;

/** Above this a wrong guess about other damage becomes too likely: 2^19 bits of 2^32. */
const LARGEST = 65536;

/**
 * The bit whose flip explains the difference between two checksums of `len` bytes: its number from
 * the start, lowest bit of each byte first; -1 when the checksum itself has the flipped bit; null
 * when no single bit explains it.
 */
export function flippedBit(stored: number, computed: number, len: number): number | null {
  const wanted = (stored ^ computed) >>> 0;
  if (wanted !== 0 && (wanted & (wanted - 1)) === 0) return -1;
  if (len > LARGEST) return null;
  // The register's difference after a flip in the last bit, then one bit earlier each round.
  let difference = POLYNOMIAL;
  for (let bit = len * 8 - 1; bit >= 0; bit--) {
    if (difference >>> 0 === wanted) return bit;
    difference = (difference >>> 1) ^ ((difference & 1) === 1 ? POLYNOMIAL : 0);
  }
  return null;
}

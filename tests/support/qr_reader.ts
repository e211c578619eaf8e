/**
 * A reader of QR codes, written from the tables of the standard, for some versions of level M.
 *
 * @module
 */

import assert from "node:assert/strict";

/** Modules row by row. */
export interface Code {
  readonly size: number;
  readonly dark: Uint8Array;
}

/** What the standard says of some versions, level M. */
interface Version {
  /** Centres of alignment patterns. */
  readonly lines: readonly number[];
  /** Codewords for error correction of each block. */
  readonly check: number;
  /** How many blocks with how many data codewords each. */
  readonly blocks: readonly (readonly [number, number])[];
  /** The version's own bits; from version 7. */
  readonly bits?: number;
}

export const VERSIONS: Readonly<Record<number, Version>> = {
  1: { lines: [], check: 10, blocks: [[1, 16]] },
  5: { lines: [6, 30], check: 24, blocks: [[2, 43]] },
  8: { lines: [6, 24, 42], check: 22, blocks: [[2, 38], [2, 39]], bits: 0x085bc },
  9: { lines: [6, 26, 46], check: 22, blocks: [[3, 36], [2, 37]], bits: 0x09a99 },
  10: { lines: [6, 28, 50], check: 26, blocks: [[4, 43], [1, 44]], bits: 0x0a4d3 },
  14: { lines: [6, 26, 46, 66], check: 24, blocks: [[4, 40], [5, 41]], bits: 0x0e60d },
  32: {
    lines: [6, 34, 60, 86, 112, 138],
    check: 28,
    blocks: [[10, 46], [23, 47]],
    bits: 0x209d5,
  },
  40: {
    lines: [6, 30, 58, 86, 114, 142, 170],
    check: 28,
    blocks: [[18, 47], [31, 48]],
    bits: 0x28c69,
  },
};

/** The format bits of level M, by mask. */
const FORMATS = [0x5412, 0x5125, 0x5e7c, 0x5b4b, 0x45f9, 0x40ce, 0x4f97, 0x4aa0];

function inverts(mask: number, row: number, column: number): boolean {
  const product = row * column;
  switch (mask) {
    case 0:
      return (row + column) % 2 === 0;
    case 1:
      return row % 2 === 0;
    case 2:
      return column % 3 === 0;
    case 3:
      return (row + column) % 3 === 0;
    case 4:
      return (Math.floor(row / 2) + Math.floor(column / 3)) % 2 === 0;
    case 5:
      return (product % 2) + (product % 3) === 0;
    case 6:
      return ((product % 2) + (product % 3)) % 2 === 0;
    default:
      return ((row + column) % 2 + product % 3) % 2 === 0;
  }
}

/** Whether a module belongs to a pattern and not to the data. */
function isPattern(version: number, row: number, column: number): boolean {
  const size = version * 4 + 17;
  const { lines } = VERSIONS[version] as Version;
  const last = lines.at(-1) ?? 0;
  if (row === 6 || column === 6) return true;
  if (row < 9 && (column < 9 || column >= size - 8)) return true;
  if (row >= size - 8 && column < 9) return true;
  if (version > 6) {
    if (row < 6 && column >= size - 11 && column < size - 8) return true;
    if (column < 6 && row >= size - 11 && row < size - 8) return true;
  }
  return lines.some((y) =>
    lines.some((x) => {
      const corner = (x === 6 && (y === 6 || y === last)) || (y === 6 && x === last);
      return !corner && Math.abs(row - y) <= 2 && Math.abs(column - x) <= 2;
    })
  );
}

/** Multiplies in the field of 256 elements, bit by bit. */
function times(a: number, b: number): number {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) {
    product = product << 1 ^ (product & 0x80 ? 0x11d : 0);
    if (b >> bit & 1) product ^= a;
  }
  return product;
}

/** Reads a code; nothing in it may be wrong. */
export function readCode({ size, dark }: Code): { version: number; text: string } {
  const version = (size - 17) / 4;
  const { check, blocks, bits } = VERSIONS[version] as Version;
  const module = (row: number, column: number): number => dark[row * size + column] ?? 0;
  // Both copies of the format.
  let format = 0;
  for (const column of [0, 1, 2, 3, 4, 5, 7, 8]) format = format << 1 | module(8, column);
  for (const row of [7, 5, 4, 3, 2, 1, 0]) format = format << 1 | module(row, 8);
  let again = 0;
  for (let row = size - 1; row > size - 8; row--) again = again << 1 | module(row, 8);
  for (let column = size - 8; column < size; column++) again = again << 1 | module(8, column);
  assert.equal(again, format);
  assert.equal(module(size - 8, 8), 1);
  const mask = FORMATS.indexOf(format);
  assert.ok(mask >= 0, "no format of level M");
  if (bits !== undefined) {
    for (let i = 0; i < 18; i++) {
      const [far, near] = [size - 11 + i % 3, Math.floor(i / 3)];
      assert.equal(module(far, near), bits >> i & 1);
      assert.equal(module(near, far), bits >> i & 1);
    }
  }
  const words: number[] = [];
  let word = 0;
  let filled = 0;
  let up = true;
  for (let right = size - 1; right > 0; right -= right === 8 ? 3 : 2, up = !up) {
    for (let i = 0; i < size; i++) {
      const row = up ? size - 1 - i : i;
      for (const column of [right, right - 1]) {
        if (isPattern(version, row, column)) continue;
        word = word << 1 | (module(row, column) ^ Number(inverts(mask, row, column)));
        if (++filled % 8 > 0) continue;
        words.push(word);
        word = 0;
      }
    }
  }
  const lengths = blocks.flatMap(([count, length]) => Array<number>(count).fill(length));
  const parts = lengths.map((): number[] => []);
  let at = 0;
  for (let i = 0; i < Math.max(...lengths); i++) {
    parts.forEach((part, n) => i < (lengths[n] ?? 0) && part.push(words[at++] ?? -1));
  }
  const data = parts.flatMap((part) => [...part]);
  for (let i = 0; i < check; i++) for (const part of parts) part.push(words[at++] ?? -1);
  assert.equal(at, words.length);
  for (const part of parts) {
    for (let i = 0, root = 1; i < check; i++, root = times(root, 2)) {
      assert.equal(part.reduce((sum, c) => times(sum, root) ^ c, 0), 0, "error correction");
    }
  }
  const stream = data.map((byte) => byte.toString(2).padStart(8, "0")).join("");
  assert.equal(stream.slice(0, 4), "0100");
  const width = version < 10 ? 8 : 16;
  const count = parseInt(stream.slice(4, 4 + width), 2);
  const bytes = Uint8Array.from({ length: count }, (_, i) => {
    const from = 4 + width + i * 8;
    return parseInt(stream.slice(from, from + 8), 2);
  });
  return { version, text: new TextDecoder().decode(bytes) };
}

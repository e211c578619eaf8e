/**
 * QR codes (ISO/IEC 18004): bytes, error correction M, the smallest version that holds them.
 *
 * @module
 */

/** Codewords for error correction of each block, by version from 1 (level M). */
const CORRECTION = [
  ...[10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26],
  ...[26, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28],
];
/** Blocks, by version from 1 (level M). */
const BLOCKS = [
  ...[1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16],
  ...[17, 17, 18, 20, 21, 23, 25, 26, 28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49],
];

/** Whether a mask inverts a module; by mask. @type {((x: number, y: number) => boolean)[]} */
const MASKS = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => x * y % 2 + x * y % 3 === 0,
  (x, y) => (x * y % 2 + x * y % 3) % 2 === 0,
  (x, y) => ((x + y) % 2 + x * y % 3) % 2 === 0,
];

// Powers of 2 and logarithms in the field of 256 elements.
const power = new Uint8Array(510);
const log = new Uint8Array(256);
for (let i = 0, x = 1; i < 255; i++) {
  power[i] = power[i + 255] = x;
  log[x] = i;
  x = x << 1 ^ (x > 127 ? 0x11d : 0);
}

/** @param {ArrayLike<number>} list @param {number} i */
const at = (list, i) => list[i] ?? 0;

/** @param {number} a @param {number} b */
const times = (a, b) => a && b ? at(power, at(log, a) + at(log, b)) : 0;

/** The codewords for error correction of a block. @param {number[]} block @param {number} degree */
function correction(block, degree) {
  let generator = [1];
  for (let i = 0; i < degree; i++) {
    const old = generator;
    generator = [...old, 0].map((c, j) => c ^ times(at(old, j - 1), at(power, i)));
  }
  const rest = [...block, ...new Array(degree).fill(0)];
  for (let i = 0; i < block.length; i++) {
    const factor = at(rest, i);
    generator.forEach((c, j) => rest[i + j] = at(rest, i + j) ^ times(c, factor));
  }
  return rest.slice(block.length);
}

/** How many lines of alignment patterns there are each way. @param {number} version */
const alignments = (version) => version === 1 ? 0 : Math.floor(version / 7) + 2;

/** How many codewords a version holds. @param {number} version */
function codewords(version) {
  const n = alignments(version);
  const around = n && (25 * n - 10) * n - 55;
  return ((16 * version + 128) * version + 64 - around - (version > 6 ? 36 : 0)) >> 3;
}

/** The codewords of a text, with those for error correction, in their order. @param {Uint8Array} bytes */
function encode(bytes) {
  for (let version = 1; version <= 40; version++) {
    const degree = at(CORRECTION, version - 1);
    const blocks = at(BLOCKS, version - 1);
    const room = codewords(version) - degree * blocks;
    const width = version < 10 ? 8 : 16;
    if (4 + width + bytes.length * 8 > room * 8) continue;
    const binary = (/** @type {number} */ n, /** @type {number} */ digits) =>
      n.toString(2).padStart(digits, "0");
    const bits = `0100${binary(bytes.length, width)}${
      [...bytes].map((b) => binary(b, 8)).join("")
    }`;
    const data = (`${bits}0000`.slice(0, room * 8).match(/.{1,8}/g) ?? [])
      .map((byte) => parseInt(byte.padEnd(8, "0"), 2));
    for (let fill = 0xec; data.length < room; fill ^= 0xec ^ 0x11) data.push(fill);
    const short = Math.floor(room / blocks);
    const parts = [];
    for (let i = 0, from = 0; i < blocks; i++) {
      const length = short + (i < blocks - room % blocks ? 0 : 1);
      const block = data.slice(from, from += length);
      parts.push({ block, check: correction(block, degree) });
    }
    const words = [];
    for (let i = 0; i <= short; i++) {
      for (const { block } of parts) if (i < block.length) words.push(at(block, i));
    }
    for (let i = 0; i < degree; i++) for (const { check } of parts) words.push(at(check, i));
    return { version, words };
  }
  throw new RangeError("Too long for a QR code");
}

/** Appends the remainder by a generator: a code of few bits. @param {number} value @param {number} generator @param {number} digits */
function code(value, generator, digits) {
  let rest = value << digits;
  for (let bit = 31 - Math.clz32(rest); bit >= digits; bit--) {
    if (rest >> bit & 1) rest ^= generator << bit - digits;
  }
  return value << digits | rest;
}

/** A square of modules while it is drawn. */
class Square {
  /** @param {number} version */
  constructor(version) {
    this.version = version;
    const size = this.size = version * 4 + 17;
    this.dark = new Uint8Array(size * size);
    /** Modules that are no data. */
    this.fixed = new Uint8Array(size * size);
    for (let i = 0; i < size; i++) {
      this.set(6, i, i % 2 === 0);
      this.set(i, 6, i % 2 === 0);
    }
    const far = size - 4;
    for (const [x, y] of /** @type {const} */ ([[3, 3], [far, 3], [3, far]])) {
      this.#rings(x, y, 4, [2, 4]);
    }
    this.#align();
    this.format(0);
    if (version > 6) {
      const bits = code(version, 0x1f25, 12);
      for (let i = 0; i < 18; i++) {
        const [a, b] = [size - 11 + i % 3, Math.floor(i / 3)];
        this.set(a, b, (bits >> i & 1) === 1);
        this.set(b, a, (bits >> i & 1) === 1);
      }
    }
  }

  /** @param {number} x @param {number} y @param {boolean} dark */
  set(x, y, dark) {
    this.dark[y * this.size + x] = Number(dark);
    this.fixed[y * this.size + x] = 1;
  }

  /** Rings around a centre. @param {number} cx @param {number} cy @param {number} radius @param {number[]} light */
  #rings(cx, cy, radius, light) {
    for (let y = cy - radius; y <= cy + radius; y++) {
      for (let x = cx - radius; x <= cx + radius; x++) {
        if (x < 0 || y < 0 || x >= this.size || y >= this.size) continue;
        this.set(x, y, !light.includes(Math.max(Math.abs(x - cx), Math.abs(y - cy))));
      }
    }
  }

  #align() {
    const { version, size } = this;
    const n = alignments(version);
    const step = version === 32 ? 26 : Math.ceil((version * 4 + 4) / (n * 2 - 2)) * 2;
    const lines = Array.from({ length: n }, (_, i) => i === 0 ? 6 : size - 7 - (n - 1 - i) * step);
    lines.forEach((x, i) =>
      lines.forEach((y, j) => {
        const corner = (i === 0 || i === n - 1) && (j === 0 || j === n - 1);
        if (corner && !(i === n - 1 && j === n - 1)) return;
        this.#rings(x, y, 2, [1]);
      })
    );
  }

  /** Writes level and mask, twice. @param {number} mask */
  format(mask) {
    const { size } = this;
    // Level M is 00.
    const bits = code(mask, 0x537, 10) ^ 0x5412;
    for (let i = 0; i < 15; i++) {
      const dark = (bits >> i & 1) === 1;
      if (i < 6) this.set(8, i, dark);
      else if (i < 8) this.set(8, i + 1, dark);
      else if (i === 8) this.set(7, 8, dark);
      else this.set(14 - i, 8, dark);
      if (i < 8) this.set(size - 1 - i, 8, dark);
      else this.set(8, size - 15 + i, dark);
    }
    this.set(8, size - 8, true);
  }

  /** Fills in the data, in columns of two from the right. @param {number[]} words */
  fill(words) {
    const { size } = this;
    let bit = 0;
    let up = true;
    for (let right = size - 1; right > 0; right -= 2) {
      if (right === 6) right = 5;
      for (let i = 0; i < size; i++) {
        for (const x of [right, right - 1]) {
          const place = (up ? size - 1 - i : i) * size + x;
          if (this.fixed[place]) continue;
          this.dark[place] = at(words, bit >> 3) >> 7 - bit % 8 & 1;
          bit++;
        }
      }
      up = !up;
    }
  }

  /** Applies a mask; once more takes it away. @param {number} mask */
  mask(mask) {
    const { size, dark, fixed } = this;
    const inverts = MASKS[mask];
    for (let i = 0; i < dark.length; i++) {
      if (!fixed[i] && inverts?.(i % size, Math.floor(i / size))) dark[i] = 1 - at(dark, i);
    }
  }

  /** How hard it would be to read. */
  penalty() {
    const { size, dark } = this;
    let sum = 0;
    const lines = Array.from({ length: size }, (_, y) => dark.slice(y * size, (y + 1) * size));
    const columns = lines.map((_, x) => lines.map((line) => at(line, x)));
    for (const line of [...lines, ...columns]) {
      const text = line.join("");
      for (const [run] of text.matchAll(/0{5,}|1{5,}/g)) sum += run.length - 2;
      // A look-ahead, since these overlap.
      sum += 40 * [...text.matchAll(/(?=10111010000|00001011101)/g)].length;
    }
    for (let i = 0; i < dark.length - size; i++) {
      if (i % size === size - 1) continue;
      const four = at(dark, i) + at(dark, i + 1) + at(dark, i + size) + at(dark, i + size + 1);
      if (four % 4 === 0) sum += 3;
    }
    const share = dark.reduce((a, b) => a + b, 0) / dark.length;
    return sum + 10 * Math.floor(Math.abs(share * 100 - 50) / 5);
  }
}

/**
 * The QR code of a text: how many modules each side has, and the dark ones row by row.
 * @param {string} text
 * @returns {{size: number, dark: Uint8Array}}
 */
export function qrCode(text) {
  const { version, words } = encode(new TextEncoder().encode(text));
  const square = new Square(version);
  square.fill(words);
  let best = 0;
  let least = Infinity;
  for (let mask = 0; mask < 8; mask++) {
    square.format(mask);
    square.mask(mask);
    const penalty = square.penalty();
    if (penalty < least) [best, least] = [mask, penalty];
    square.mask(mask);
  }
  square.format(best);
  square.mask(best);
  return { size: square.size, dark: square.dark };
}

/** The dark modules as an SVG path, with the quiet zone of four modules. @param {{size: number, dark: Uint8Array}} code */
export function qrPath({ size, dark }) {
  let path = "";
  for (let y = 0; y < size; y++) {
    const line = dark.slice(y * size, (y + 1) * size).join("");
    for (const run of line.matchAll(/1+/g)) {
      path += `M${run.index + 4} ${y + 4}h${run[0].length}v1h-${run[0].length}z`;
    }
  }
  return path;
}

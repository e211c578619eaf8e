/**
 * SHA-256 of short texts: the name of a pool's semaphore file, access keys, certificates.
 *
 * Written here because `crypto.subtle` is asynchronous (a synchronous append needs the name) and
 * `node:crypto` costs 19 ms of start-up and 4 MB of memory. Source: FIPS 180-4, section 6.2.
 *
 * @module
 */

/** First 32 bits of the fractional part of a root of the n-th prime. */
function primeRoots(count: number, root: (n: number) => number): Uint32Array {
  const out = new Uint32Array(count);
  let found = 0;
  for (let n = 2; found < count; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
    if (prime) out[found++] = (root(n) % 1) * 0x1_0000_0000;
  }
  return out;
}

function rotr(x: number, n: number): number {
  return (x >>> n) | (x << (32 - n));
}

let constants: { readonly k: DataView; readonly initial: Uint32Array } | undefined;

/** The SHA-256 of `message` as lower-case hex. */
export function sha256Hex(message: Uint8Array): string {
  return sha256(message).toHex();
}

/** The SHA-256 of `message`. */
export function sha256(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const { k, initial } = constants ??= {
    k: new DataView(primeRoots(64, Math.cbrt).buffer),
    initial: primeRoots(8, Math.sqrt),
  };
  const state = new DataView(initial.slice().buffer);
  const padded = new Uint8Array(((message.length + 8 >> 6) + 1) << 6);
  padded.set(message);
  padded[message.length] = 0x80;
  const text = new DataView(padded.buffer);
  text.setUint32(padded.length - 8, Math.floor(message.length / 0x2000_0000));
  text.setUint32(padded.length - 4, message.length << 3);
  const w = new DataView(new ArrayBuffer(256));
  const at = (view: DataView, i: number): number => view.getUint32(i * 4, true);
  for (let block = 0; block < padded.length; block += 64) {
    for (let i = 0; i < 64; i++) {
      if (i < 16) {
        w.setUint32(i * 4, text.getUint32(block + i * 4), true);
        continue;
      }
      const a = at(w, i - 15);
      const b = at(w, i - 2);
      const s0 = rotr(a, 7) ^ rotr(a, 18) ^ (a >>> 3);
      const s1 = rotr(b, 17) ^ rotr(b, 19) ^ (b >>> 10);
      w.setUint32(i * 4, at(w, i - 16) + s0 + at(w, i - 7) + s1, true);
    }
    let a = at(state, 0);
    let b = at(state, 1);
    let c = at(state, 2);
    let d = at(state, 3);
    let e = at(state, 4);
    let f = at(state, 5);
    let g = at(state, 6);
    let h = at(state, 7);
    for (let i = 0; i < 64; i++) {
      const s1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
      const t1 = h + s1 + ((e & f) ^ (~e & g)) + at(k, i) + at(w, i);
      const s0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
      const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    let i = 0;
    for (const word of [a, b, c, d, e, f, g, h]) {
      state.setUint32(i * 4, at(state, i) + word, true);
      i++;
    }
  }
  for (let i = 0; i < 8; i++) state.setUint32(i * 4, at(state, i));
  return new Uint8Array(state.buffer);
}

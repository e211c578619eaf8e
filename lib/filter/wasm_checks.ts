/**
 * Rewrites a WebAssembly module so that every loop calls one of its imports now and then. Deno's
 * `Worker.terminate` does not stop a worker that computes (2.9.6), so what runs in a worker must be
 * able to stop itself: the import throws.
 *
 * Like `jq_worker.ts` this is passed to workers as text, and refers to nothing outside itself.
 *
 * @module
 */

/**
 * Adds the calls.
 *
 * @param source the binary of a module
 * @param name the name of an imported function without parameters that returns one value
 * @param every the number of turns of loops between two calls
 * @throws {Error} for instructions that are not known here
 */
export function withChecks(
  source: Uint8Array,
  name: string,
  every: number,
): Uint8Array<ArrayBuffer> {
  let at = 8;
  const out = { bytes: new Uint8Array(source.length * 2), length: 0 };

  const unsigned = (): number => {
    let value = 0;
    for (let shift = 1;; shift *= 128) {
      const byte = source[at++] ?? 0;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  const skipNumber = (): void => {
    while ((source[at++] ?? 0) >= 0x80);
  };
  const skipName = (): string => {
    const length = unsigned();
    at += length;
    return new TextDecoder().decode(source.subarray(at - length, at));
  };
  const put = (...bytes: readonly number[]): void => {
    for (const byte of bytes) out.bytes[out.length++] = byte;
  };
  const copy = (from: number, to: number): void => {
    out.bytes.set(source.subarray(from, to), out.length);
    out.length += to - from;
  };
  /** A number in as few bytes as it takes; below 64 bits both for signed and unsigned. */
  const leb = (value: number, isSigned = false): number[] => {
    const bytes: number[] = [];
    let left = value;
    while (left >= (isSigned ? 0x40 : 0x80)) {
      bytes.push((left & 0x7f) | 0x80);
      left = Math.floor(left / 128);
    }
    return [...bytes, left];
  };
  /** Writes what `body` writes, with its length before it. */
  const sized = (body: () => void): void => {
    const start = out.length;
    out.length += 5; // a length may have more bytes than it needs
    body();
    let size = out.length - start - 5;
    for (let i = 0; i < 5; i++, size = Math.floor(size / 128)) {
      out.bytes[start + i] = (size & 0x7f) | (i < 4 ? 0x80 : 0);
    }
  };

  let functions = 0;
  let globals = 0;
  let checked = -1;
  let counter = -1;

  const readImports = (): void => {
    for (let left = unsigned(); left > 0; left--) {
      skipName();
      const field = skipName();
      const kind = source[at++];
      if (kind === 0) {
        if (field === name) checked = functions;
        functions++;
        unsigned();
      } else if (kind === 3) {
        globals++;
        at += 2;
      } else {
        if (kind === 1) at++;
        const limits = source[at++] ?? 0;
        unsigned();
        if ((limits & 1) === 1) unsigned();
      }
    }
  };

  /** Moves behind the operands of an instruction. */
  const skipOperands = (code: number): void => {
    const isMemory = code >= 0x28 && code <= 0x3e;
    if (isMemory || code === 0x11 || code === 0x13) {
      skipNumber();
      skipNumber();
    } else if (code === 0x0e || code === 0x1c) {
      for (let left = unsigned() + (code === 0x0e ? 1 : 0); left > 0; left--) skipNumber();
    } else if (code === 0x43) at += 4;
    else if (code === 0x44) at += 8;
    else if (code === 0xfc) {
      const more = unsigned();
      if (more > 17) throw new Error(`unknown instruction 0xfc ${more}`);
      const operands = more < 8 ? 0 : [8, 10, 12, 14].includes(more) ? 2 : 1;
      for (let left = operands; left > 0; left--) skipNumber();
    } else if (
      (code >= 0x02 && code <= 0x04) || code === 0x0c || code === 0x0d || code === 0x10 ||
      code === 0x12 || (code >= 0x20 && code <= 0x26) || (code >= 0x3f && code <= 0x42) ||
      code === 0xd0 || code === 0xd2
    ) skipNumber();
    else if (
      code > 0xd2 || (code > 0xc4 && code < 0xd0) || (code > 0x05 && code < 0x0b) ||
      (code > 0x13 && code < 0x1a) || (code > 0x1c && code < 0x20)
    ) throw new Error(`unknown instruction 0x${code.toString(16)}`);
  };

  const check = (): number[] => [
    ...[0x23, ...leb(counter), 0x41, 1, 0x6b, 0x24, ...leb(counter)], // counter -= 1
    ...[0x23, ...leb(counter), 0x45, 0x04, 0x40], // if (counter == 0) {
    ...[0x41, ...leb(every, true), 0x24, ...leb(counter)], // counter = every
    ...[0x10, ...leb(checked), 0x1a, 0x0b], // call; drop }
  ];

  const rewriteBody = (): void => {
    const size = unsigned();
    const end = at + size;
    const start = at;
    for (let left = unsigned(); left > 0; left--) {
      unsigned();
      at++;
    }
    sized(() => {
      let copied = start;
      while (at < end) {
        const code = source[at++] ?? 0;
        skipOperands(code);
        if (code !== 0x03) continue;
        copy(copied, at);
        copied = at;
        put(...check());
      }
      copy(copied, end);
    });
  };

  copy(0, 8);
  while (at < source.length) {
    const id = source[at] ?? 0;
    const start = at++;
    const size = unsigned();
    const content = at;
    const end = at + size;
    if (id === 2) readImports();
    if (id === 6) {
      const count = unsigned();
      const first = at;
      counter = globals + count;
      put(id);
      sized(() => {
        put(...leb(count + 1));
        copy(first, end);
        put(0x7f, 0x01, 0x41, ...leb(every, true), 0x0b);
      });
    } else if (id === 10) {
      if (checked < 0 || counter < 0) throw new Error("the module cannot be checked");
      const count = unsigned();
      put(id);
      sized(() => {
        put(...leb(count));
        for (let left = count; left > 0; left--) rewriteBody();
      });
    } else copy(start, end);
    at = content + size;
  }
  return out.bytes.slice(0, out.length);
}

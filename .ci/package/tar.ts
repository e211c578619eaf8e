/**
 * Writes tar archives (ustar): the same bytes on every machine, owned by root, whoever builds them
 * and whichever `tar` is installed there.
 *
 * @module
 */

/** One member of an archive. */
export interface Entry {
  /** Its name in the archive, without a slash at the end. */
  readonly name: string;
  /** The bytes of a file; a folder without `content` and `link`. */
  readonly content?: Uint8Array<ArrayBuffer>;
  /** Where a symbolic link leads. */
  readonly link?: string;
  /** Whether a file may be run. */
  readonly executable?: boolean;
}

const BLOCK = 512;
const encoder = new TextEncoder();

/** A fixed date: the same input makes the same archive. 2026-01-01. */
const MTIME = 1_767_225_600;

/** What tells the three kinds of members apart: type flag and mode. */
function kindOf({ content, link, executable }: Entry): { flag: string; mode: number } {
  if (link !== undefined) return { flag: "2", mode: 0o777 };
  if (content === undefined) return { flag: "5", mode: 0o755 };
  return { flag: "0", mode: executable ? 0o755 : 0o644 };
}

/** Splits a name that is longer than its field at a slash. */
function split(name: string): { prefix: string; rest: string } {
  if (name.length <= 100) return { prefix: "", rest: name };
  const at = name.lastIndexOf("/", 154);
  const [prefix, rest] = [name.slice(0, at), name.slice(at + 1)];
  if (at < 0 || rest.length > 100) throw new Error(`Name too long for an archive: ${name}`);
  return { prefix, rest };
}

function header(entry: Entry): Uint8Array<ArrayBuffer> {
  const { flag, mode } = kindOf(entry);
  const { prefix, rest } = split(flag === "5" ? `${entry.name}/` : entry.name);
  const block = new Uint8Array(BLOCK);
  const put = (text: string, at: number): void => block.set(encoder.encode(text), at);
  const number = (value: number, at: number, digits: number): void =>
    put(value.toString(8).padStart(digits, "0"), at);
  put(rest, 0);
  number(mode, 100, 7);
  number(0, 108, 7);
  number(0, 116, 7);
  number(entry.content?.length ?? 0, 124, 11);
  number(MTIME, 136, 11);
  put("        ", 148); // The checksum counts as blanks while it is computed.
  put(flag, 156);
  put(entry.link ?? "", 157);
  put("ustar\u000000", 257);
  put("root", 265);
  put("root", 297);
  put(prefix, 345);
  number(block.reduce((sum, byte) => sum + byte, 0), 148, 6);
  block[154] = 0;
  return block;
}

/** An archive as a stream. */
export function tar(entries: readonly Entry[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  const blocks = function* (): Generator<Uint8Array<ArrayBuffer>> {
    for (const entry of entries) {
      yield header(entry);
      const { content } = entry;
      if (content === undefined) continue;
      yield content;
      if (content.length % BLOCK !== 0) yield new Uint8Array(BLOCK - content.length % BLOCK);
    }
    yield new Uint8Array(2 * BLOCK);
  };
  return ReadableStream.from(blocks());
}

/** The same, compressed. */
export function tarGz(entries: readonly Entry[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  return tar(entries).pipeThrough(new CompressionStream("gzip"));
}

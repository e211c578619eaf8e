/**
 * Prints pools for a server, in its worker: the other thread only passes the bytes on, and twenty
 * thousand pools leave nothing in its memory that would have to be collected.
 *
 * @module
 */

import { PlasmiteError } from "../../../errors.ts";
import { glanceAt } from "../../../pool/glance.ts";
import { type FileCalls, QuickFile } from "../../../storage/quick_file.ts";
import { poolText } from "../../pool_text.ts";
import { poolName } from "../../refs.ts";
import { glimpsed, type PoolInfo } from "../info.ts";
import { NOBODY, PRINTED } from "./records.ts";

/** Pools to print. */
export interface PrintJob {
  /** Their directory. */
  readonly dir: string;
  /** The names of their files, with a NUL after each but the last. */
  readonly files: string;
  /** The numbers of those that the other thread prints, ascending. */
  readonly own: readonly number[];
  /** Four bytes; not zero once nobody waits for the rest. */
  readonly ended: SharedArrayBuffer;
}

/** A chunk of them. */
export interface PrintedChunk {
  readonly chunk: number;
  /** Text, with a comma before each pool, and the numbers of pools that the other thread prints. */
  readonly parts: readonly (Uint8Array<ArrayBuffer> | number)[];
  /** The identity of each pool of the chunk, or {@linkcode NOBODY}. */
  readonly identities: string;
}

const encoder = new TextEncoder();

/** Prints the pools of a job. */
export function* printPools(
  { dir, files, own, ended }: PrintJob,
  fs: FileCalls,
): Generator<PrintedChunk, void> {
  const names = files.split("\0");
  const left = new Set(own);
  const over = new Int32Array(ended);
  const file = new QuickFile(fs);
  for (let from = 0; from < names.length && Atomics.load(over, 0) === 0; from += PRINTED) {
    const chunk = new Chunk();
    for (let i = from; i < Math.min(from + PRINTED, names.length); i++) {
      const info = left.has(i) ? null : look(file, `${dir}/${names[i]}`);
      if (info === null) chunk.skip(i);
      else chunk.print(info);
    }
    yield chunk.end(from / PRINTED);
  }
}

/** A chunk as it grows. */
class Chunk {
  readonly #parts: (Uint8Array<ArrayBuffer> | number)[] = [];
  #identities = "";
  #text = "";

  print(info: PoolInfo): void {
    this.#text += `,${poolText(info, info.name, { followers: 0 })}`;
    this.#identities += info.identity ?? NOBODY;
  }

  skip(pool: number): void {
    this.#endText();
    this.#parts.push(pool);
    this.#identities += NOBODY;
  }

  #endText(): void {
    if (this.#text !== "") this.#parts.push(encoder.encode(this.#text));
    this.#text = "";
  }

  end(chunk: number): PrintedChunk {
    this.#endText();
    return { chunk, parts: this.#parts, identities: this.#identities };
  }
}

/** Glances at a pool; null if it takes more, or fails: the other thread says why. */
function look(file: QuickFile, path: string): PoolInfo | null {
  try {
    file.open(path);
    const seen = glanceAt(file, file.hasSize, false);
    return seen && glimpsed(poolName(path), path, seen, null);
  } catch (error) {
    if (!PlasmiteError.is(error) && !(error instanceof Error && "code" in error)) throw error;
    return null;
  } finally {
    file.close();
  }
}

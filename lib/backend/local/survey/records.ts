/**
 * What glances at pools have found, in memory that two threads share (docs/architecture.md, Long
 * work): a record of fixed size for each pool, and a counter from which both take chunks.
 *
 * @module
 */

import { glance, type Glimpse } from "../../../pool/glance.ts";
import { parseState, putState } from "../../../pool/header.ts";
import { HEADER_SIZE, SLOT_SIZE, STATE_SIZE } from "../../../pool/layout.ts";
import type { Storage, StorageFile } from "../../../storage/storage.ts";
import { PlasmiteError } from "../../../errors.ts";

/** How many pools are a chunk: about a millisecond of work. */
export const CHUNK = 100;
/** How many are a chunk that is printed: about 40 KB. */
export const PRINTED = 64;
/** What stands for the identity of a pool without one, where there is a text for each. */
export const NOBODY = " ".repeat(32);

/** Where the parts of a record are, and its size, in bytes. */
const AT = { kind: 0, flags: 4, fileSize: 8, capacity: 16, mtime: 24, state: 32 } as const;
const TIMES_AT = AT.state + STATE_SIZE;
const ID_AT = TIMES_AT + 16;
const ID_SIZE = 16;
const RECORD = ID_AT + ID_SIZE;

/** What a record says. */
const KIND = { unknown: 0, brief: 1, full: 2 } as const;
/** What else there is: messages, an identity. */
const FLAG = { messages: 1, identity: 2 } as const;

/** A job for two threads; may be sent from one to the other. */
export interface SurveyJob {
  /** The paths of the pools, with a NUL after each but the last. */
  readonly paths: string;
  /** Whether to read headers only. */
  readonly brief: boolean;
  /** The counter and the records. */
  readonly memory: SharedArrayBuffer;
}

/** The memory for `count` pools. */
export function surveyMemory(count: number): SharedArrayBuffer {
  return new SharedArrayBuffer(8 + count * RECORD);
}

/** A pool as it was seen, with the last modification of its file. */
export interface SeenPool {
  readonly glimpse: Glimpse;
  readonly mtimeMs: number | null;
}

/** One thread's view of a job. */
export class SurveyRecords {
  /** The number of chunks. */
  readonly chunks: number;
  readonly #paths: readonly string[];
  readonly #brief: boolean;
  readonly #counter: Int32Array;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  /** @param paths those of the job, if they are a list already */
  constructor({ paths, brief, memory }: SurveyJob, list?: readonly string[]) {
    this.#paths = list ?? paths.split("\0");
    this.#brief = brief;
    this.chunks = Math.ceil(this.#paths.length / CHUNK);
    this.#counter = new Int32Array(memory, 0, 1);
    this.#view = new DataView(memory, 8);
    this.#bytes = new Uint8Array(memory, 8);
  }

  /** The next chunk that no thread has taken yet; -1 if there is none. */
  take(): number {
    const chunk = Atomics.add(this.#counter, 0, 1);
    return chunk < this.chunks ? chunk : -1;
  }

  /** Leaves no chunk to take. */
  stop(): void {
    Atomics.store(this.#counter, 0, this.chunks);
  }

  /** The paths of a chunk. */
  pathsOf(chunk: number): readonly string[] {
    return this.#paths.slice(chunk * CHUNK, (chunk + 1) * CHUNK);
  }

  /** Glances at the pools of a chunk. */
  look(chunk: number, storage: Storage): void {
    for (const [i, path] of this.pathsOf(chunk).entries()) {
      this.#look((chunk * CHUNK + i) * RECORD, path, storage);
    }
  }

  #look(at: number, path: string, storage: Storage): void {
    let file: StorageFile | null = null;
    try {
      file = storage.open(path, { write: false });
      const seen = glance(file, this.#brief);
      if (seen !== null) this.#put(at, seen, file.opened.mtimeMs);
    } catch (error) {
      // The other thread opens it again and says what is wrong.
      if (!PlasmiteError.is(error)) throw error;
    } finally {
      file?.close();
    }
  }

  #put(at: number, { layout, state, more }: Glimpse, mtimeMs: number | null): void {
    const view = this.#view;
    view.setUint32(at + AT.kind, more === null ? KIND.brief : KIND.full, true);
    view.setFloat64(at + AT.fileSize, layout.fileSize, true);
    view.setFloat64(at + AT.capacity, layout.indexCapacity, true);
    view.setFloat64(at + AT.mtime, mtimeMs ?? NaN, true);
    putState(view, at + AT.state, state);
    if (more === null) return;
    const { identity, oldestTimeNs, newestTimeNs } = more;
    const flags = (oldestTimeNs === null ? 0 : FLAG.messages) |
      (identity === undefined ? 0 : FLAG.identity);
    view.setUint32(at + AT.flags, flags, true);
    view.setBigUint64(at + TIMES_AT, oldestTimeNs ?? 0n, true);
    view.setBigUint64(at + TIMES_AT + 8, newestTimeNs ?? 0n, true);
    if (identity !== undefined) this.#bytes.set(Uint8Array.fromHex(identity), at + ID_AT);
  }

  /** What was seen of a pool, after its chunk was looked at; null if it takes more to know. */
  seen(index: number): SeenPool | null {
    const view = this.#view;
    const at = index * RECORD;
    const kind = view.getUint32(at + AT.kind, true);
    if (kind === KIND.unknown) return null;
    const fileSize = view.getFloat64(at + AT.fileSize, true);
    const indexCapacity = view.getFloat64(at + AT.capacity, true);
    const mtime = view.getFloat64(at + AT.mtime, true);
    const ringOffset = HEADER_SIZE + SLOT_SIZE * indexCapacity;
    return {
      glimpse: {
        layout: { fileSize, indexCapacity, ringOffset, ringSize: fileSize - ringOffset },
        state: parseState(view, at + AT.state),
        more: kind === KIND.full ? this.#more(at) : null,
      },
      mtimeMs: Number.isNaN(mtime) ? null : mtime,
    };
  }

  #more(at: number): Glimpse["more"] {
    const view = this.#view;
    const flags = view.getUint32(at + AT.flags, true);
    const time = (from: number): bigint | null =>
      (flags & FLAG.messages) === 0 ? null : view.getBigUint64(from, true);
    const identity = (flags & FLAG.identity) === 0
      ? undefined
      : this.#bytes.slice(at + ID_AT, at + ID_AT + ID_SIZE).toHex();
    return { identity, oldestTimeNs: time(at + TIMES_AT), newestTimeNs: time(at + TIMES_AT + 8) };
  }
}

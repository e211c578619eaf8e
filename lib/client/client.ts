/**
 * The client of the pools in one directory: create, open, list, delete.
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../errors.ts";
import { type CheckReport, checkRing } from "../pool/check.ts";
import { createRing, type RingOptions } from "../pool/creation.ts";
import { maxAgeNs } from "../pool/header.ts";
import { isMissing } from "../pool/unfinished.ts";
import { DEFAULT_POOL_SIZE } from "../pool/layout.ts";
import { disk } from "../storage/file.ts";
import { inPlace } from "../storage/steps.ts";
import type { PoolInfo } from "../backend/local/info.ts";
import { listing, readingInfo } from "../backend/local/listing.ts";
import type { IntegerPolicy } from "./message.ts";
import { checkOptions, INTEGERS, type OptionKinds } from "./option_kinds.ts";
import { checkSeq, type JsonObject, type Seq } from "./options.ts";
import { Pool } from "./pool.ts";
import { defaultPoolDir, poolPath } from "../backend/refs.ts";
import { removing } from "../backend/local/remove.ts";

/**
 * Options of a {@linkcode Client}.
 *
 * @example Decode all integers as bigints
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client({ poolDir: Deno.makeTempDirSync(), integers: "bigint" });
 * using pool = client.pool<{ n: bigint }>("demo");
 * pool.append({ n: 7n });
 * console.assert(pool.get(1).data.n === 7n);
 * ```
 */
export interface ClientOptions {
  /** Directory that bare names resolve into; default `$HOME/.plasmite/pools`. */
  readonly poolDir?: string;
  /**
   * How integers in data are decoded: `auto` (default) as a number if it is exact, else as a
   * bigint; `number` always as a number (rounded beyond 2^53); `bigint` always as a bigint.
   */
  readonly integers?: IntegerPolicy;
}

/**
 * Options of a new pool.
 *
 * @example Create a pool of 8 MiB without an index
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.createPool("demo", { sizeBytes: 8 * 1024 * 1024, indexCapacity: 0 });
 * console.assert(pool.info().fileSize === 8 * 1024 * 1024);
 * ```
 */
export interface CreateOptions {
  /** Size of the file in bytes; default 1 MiB. */
  readonly sizeBytes?: Seq;
  /** Number of index slots (16 bytes each), 0 for no index; by default it depends on the size. */
  readonly indexCapacity?: number;
  /**
   * Messages older than this many milliseconds expire, at least 1000: readers do not get them any
   * more, and appends drop them. By default there is no limit.
   */
  readonly maxAgeMs?: number;
}

const CREATE_KINDS: OptionKinds<CreateOptions> = {
  sizeBytes: "checked",
  indexCapacity: "checked",
  maxAgeMs: "number",
};

function createOptions(size: Seq | CreateOptions | undefined): RingOptions {
  const options = typeof size === "object" ? size : { sizeBytes: size ?? 0 };
  const { sizeBytes, indexCapacity, maxAgeMs } = checkOptions<CreateOptions>(
    options,
    "pool",
    CREATE_KINDS,
  );
  const bytes = checkSeq(sizeBytes ?? 0, "pool size");
  return {
    size: bytes === 0n ? DEFAULT_POOL_SIZE : Number(bytes),
    ...(indexCapacity === undefined
      ? {}
      : { indexCapacity: Number(checkSeq(indexCapacity, "indexCapacity")) }),
    ...(maxAgeMs === undefined ? {} : { maxAgeNs: maxAgeNs(maxAgeMs) }),
  };
}

/** The kinds of the options of a client. */
export const CLIENT_KINDS: OptionKinds<ClientOptions> = { poolDir: "string", integers: INTEGERS };

/**
 * The local pools of one directory. Creating a client does not access the disk.
 *
 * @example Create a pool and append to it
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client({ poolDir: Deno.makeTempDirSync() });
 * using pool = client.pool("demo");
 * console.assert(pool.append({ hello: "world" }).seq === 1n);
 * console.assert(client.listPools().length === 1);
 * ```
 */
export class Client implements Disposable, AsyncDisposable {
  /** The directory that bare names resolve into. */
  readonly poolDir: string;
  readonly #integers: IntegerPolicy;
  #closed = false;

  /**
   * Creates a client without accessing the disk.
   *
   * @param options the pool directory, or all options
   * @throws {PlasmiteError} Usage for an empty directory name
   */
  constructor(options?: string | ClientOptions) {
    const { poolDir, integers } = checkOptions<ClientOptions>(
      typeof options === "string" ? { poolDir: options } : options,
      "Client",
      CLIENT_KINDS,
    );
    if (poolDir === "") {
      throw new PlasmiteError("Usage", "pool directory is empty", {
        hint: "Leave it out for the default directory, or name one.",
      });
    }
    this.poolDir = poolDir ?? defaultPoolDir();
    this.#integers = integers ?? "auto";
  }

  /** The path of a pool's file. */
  #path(ref: string): string {
    if (this.#closed) {
      throw new PlasmiteError("Usage", "client is closed", { hint: "Make a new Client." });
    }
    return poolPath(ref, this.poolDir);
  }

  /**
   * Creates a pool and opens it. Missing parent directories are created too.
   *
   * @param ref the pool's name, or its path
   * @param size the size of the file in bytes (default, and for 0: 1 MiB), or all options
   * @throws {PlasmiteError} AlreadyExists, Usage for a size too small, Permission, Io
   */
  createPool<T extends object = JsonObject>(ref: string, size?: Seq | CreateOptions): Pool<T> {
    const path = this.#path(ref);
    createRing(disk, path, createOptions(size));
    return new Pool<T>(path, ref, this.#integers);
  }

  /**
   * Opens an existing pool.
   *
   * @param ref the pool's name, or its path
   * @returns the open pool, for reading only if it may not be written
   * @throws {PlasmiteError} NotFound, Permission, Corrupt, Io, or Usage for another format version
   */
  openPool<T extends object = JsonObject>(ref: string): Pool<T> {
    return new Pool<T>(this.#path(ref), ref, this.#integers);
  }

  /**
   * Opens a pool, creating it if it does not exist; `size` is used only then.
   *
   * @param ref the pool's name, or its path
   * @param size the size of a new file in bytes (default, and for 0: 1 MiB), or all options
   * @throws {PlasmiteError} Permission, Corrupt, Io, or Usage for an invalid name or size
   */
  pool<T extends object = JsonObject>(ref: string, size?: Seq | CreateOptions): Pool<T> {
    try {
      return this.openPool<T>(ref);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    try {
      return this.createPool<T>(ref, size);
    } catch (error) {
      // Another process created it at the same time: open that one.
      if (!PlasmiteError.is(error, ErrorKind.AlreadyExists)) throw error;
      return this.openPool<T>(ref);
    }
  }

  /**
   * Returns the sizes, bounds and metrics of a pool; needs read permission only.
   *
   * @param ref the pool's name, or its path
   * @returns sizes in bytes, bounds and metrics
   * @throws {PlasmiteError} NotFound, Permission, Corrupt or Io
   */
  poolInfo(ref: string): PoolInfo {
    return inPlace(readingInfo(this.#path(ref), ref));
  }

  /**
   * Lists all pools of the directory, sorted by name. Entries for pools that cannot be opened have
   * `error` set.
   *
   * @returns one entry per pool; empty if the directory does not exist
   * @throws {PlasmiteError} Permission or Io when the directory cannot be read
   */
  listPools(): PoolInfo[] {
    this.#path("x");
    return inPlace(listing(this.poolDir));
  }

  /**
   * Deletes a pool, intact or damaged; waits for an append in progress.
   *
   * @param ref the pool's name, or its path
   * @throws {PlasmiteError} NotFound, Permission, Busy or Io
   */
  deletePool(ref: string): void {
    inPlace(removing(this.#path(ref)));
  }

  /**
   * Checks a whole pool under the shared lock and returns every problem found.
   *
   * @param ref the pool's name, or its path
   * @returns the report; damage is reported, not thrown
   * @throws {PlasmiteError} NotFound, Permission or Io when the file cannot be read
   */
  validatePool(ref: string): CheckReport {
    return checkRing(disk, this.#path(ref), ref, { messages: true });
  }

  /** Closes the client; pools opened with it stay open. */
  close(): void {
    this.#closed = true;
  }

  /** Closes the client. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Closes the client. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}

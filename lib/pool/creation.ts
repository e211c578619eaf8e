/**
 * Creates pool files (docs/spec/format.md 1.5).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { createOnDisk } from "../storage/create.ts";
import { untilUnlocked } from "../storage/lock_wait.ts";
import { inPlace, type Steps } from "../storage/steps.ts";
import type { Storage } from "../storage/storage.ts";
import { unsafeIn } from "../visible.ts";
import {
  checkMaxAge,
  EXTENSION_AT,
  EXTENSION_SIZE,
  newExtension,
  newHeader,
  printExtension,
} from "./header.ts";
import { DEFAULT_POOL_SIZE, type Layout, planLayout } from "./layout.ts";

/** After how many tries a file without a header, and without a creator, is taken over. */
const CREATION_TRIES = 100;

/** Options of a new pool. */
export interface RingOptions {
  /** Size of the whole file in bytes; default 1 MiB. */
  readonly size?: number;
  /** Number of index slots; default automatic, 0 for none. */
  readonly indexCapacity?: number;
  /** The maximum age of messages, in nanoseconds; default (and 0) no limit. */
  readonly maxAgeNs?: bigint;
}

/**
 * Refuses names with unprintable characters for new pools. Existing pools with such a name can be
 * used, renamed and deleted.
 *
 * @throws {PlasmiteError} Usage
 */
function checkNewPath(path: string): void {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const unsafe = unsafeIn(name);
  if (unsafe === undefined && name.isWellFormed()) return;
  throw new PlasmiteError("Usage", "invalid pool name", {
    path,
    hint: unsafe === undefined
      ? "Use a name that is valid Unicode."
      : `Use a name without control and text-direction characters; this one has ${unsafe}.`,
  });
}

/** A new pool's header with its identity; the bytes in between are zero. */
function stampedHeader(layout: Layout, maxAgeNs?: bigint): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(EXTENSION_AT + EXTENSION_SIZE);
  bytes.set(newHeader(layout));
  bytes.set(printExtension(newExtension(maxAgeNs)), EXTENSION_AT);
  return bytes;
}

/**
 * Creates a pool file, in steps: waits for another process that is creating the same one.
 *
 * @throws {PlasmiteError} Usage, AlreadyExists, Permission, Busy or Io
 */
export function* creating(
  storage: Storage,
  path: string,
  options: RingOptions = {},
): Steps<void> {
  checkNewPath(path);
  const layout = planLayout(options.size ?? DEFAULT_POOL_SIZE, options.indexCapacity);
  const header = stampedHeader(layout, checkMaxAge(options.maxAgeNs ?? 0n));
  const create = storage.create?.bind(storage) ?? createOnDisk;
  let tries = 0;
  yield* untilUnlocked(
    path,
    () => create(path, layout.fileSize, header, tries++ >= CREATION_TRIES) || null,
  );
}

/**
 * Like {@linkcode creating}, but blocks while another process is creating the same file.
 *
 * @throws {PlasmiteError} Usage, AlreadyExists, Permission, Busy or Io
 */
export function createRing(storage: Storage, path: string, options: RingOptions = {}): void {
  inPlace(creating(storage, path, options));
}

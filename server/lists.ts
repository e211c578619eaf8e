/**
 * Texts about all pools, built in time slices: there may be tens of thousands of pools.
 *
 * @module
 */

import { mayUse } from "../lib/grant.ts";
import { Buf } from "../lib/bytes.ts";
import type { PoolInfo } from "../lib/backend/local/info.ts";
import type { Backend } from "../lib/backend/types.ts";
import { PlasmiteError } from "../lib/errors.ts";
import { Slice } from "../lib/storage/turns.ts";
import type { Grant } from "../lib/types.ts";
import type { Histograms } from "./histogram.ts";
import { infoJson } from "./infos.ts";

/** Concatenates texts as UTF-8, without ever building one long string. */
class Texts {
  readonly #out = new Buf(4096);
  readonly #encoder = new TextEncoder();

  put(text: string): void {
    const out = this.#out;
    out.reserve(3 * text.length);
    out.len += this.#encoder.encodeInto(text, out.u8.subarray(out.len)).written;
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.#out.bytes();
  }
}

/** Where information about pools comes from. */
export interface Directory {
  /** Where the pools are. */
  readonly backend: Backend;
  /** The number of readers that follow a pool. */
  followers(pool: string): number;
  /** What is known of damage. */
  readonly histograms: Histograms;
}

/**
 * The answer `{"pools":[…]}` for all pools that the caller may read.
 *
 * @param only the names of the pools that are wanted; the others are not opened. Default all
 * @throws {PlasmiteError} Permission or Io when the directory cannot be read
 */
export async function poolsJson(
  { backend, followers, histograms }: Directory,
  grant: Grant,
  only?: ReadonlySet<string>,
): Promise<Uint8Array<ArrayBuffer>> {
  const infos: readonly PoolInfo[] = await backend.list((names) =>
    readable(only === undefined ? names : names.filter((name) => only.has(name)), grant)
  );
  const texts = new Texts();
  const slice = new Slice();
  texts.put('{"pools":[');
  for (const [i, info] of infos.entries()) {
    if (slice.over) await slice.next();
    if (i > 0) texts.put(",");
    texts.put(
      infoJson(info, info.name, followers(info.name), histograms.unreadable(info)),
    );
  }
  histograms.look(infos);
  texts.put("]}");
  return texts.bytes();
}

/** The names of pools that the caller may read. */
export function readable(names: readonly string[], grant: Grant): readonly string[] {
  return names.filter((name) => mayUse(grant, "read", name));
}

/**
 * The name and the newest sequence number of each pool that can be opened and that the caller may
 * read.
 *
 * @throws {PlasmiteError} Permission or Io when the directory cannot be read
 */
export async function newestOf(backend: Backend, grant: Grant): Promise<[string, bigint][]> {
  const found: [string, bigint][] = [];
  const slice = new Slice();
  for (const name of readable(await backend.names(), grant)) {
    if (slice.over) await slice.next();
    try {
      const pool = await backend.open(name);
      try {
        found.push([name, (await pool.bounds()).newest]);
      } finally {
        void pool.close();
      }
    } catch (error) {
      // A damaged pool is left out; `GET /v0/pools` reports the problem.
      if (!PlasmiteError.is(error)) throw error;
    }
  }
  return found;
}

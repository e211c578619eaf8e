/**
 * Texts about all pools, built in time slices: there may be tens of thousands of pools.
 *
 * @module
 */

import { mayUse } from "../lib/grant.ts";
import type { Backend, Choose, PrintedPools } from "../lib/backend/types.ts";
import { Slice } from "../lib/storage/turns.ts";
import type { Grant } from "../lib/types.ts";
import type { Histograms } from "./histogram.ts";
import { infoJson } from "./infos.ts";

/** Where information about pools comes from. */
export interface Directory {
  /** Where the pools are. */
  readonly backend: Backend;
  /** The number of readers that follow a pool. */
  followers(pool: string): number;
  /** The names of the pools that have readers, and perhaps others. */
  followed(): Iterable<string>;
  /** What is known of damage. */
  readonly histograms: Histograms;
}

/** How many pools are in a piece of a list: about 40 KB. */
const PIECE = 64;

const encoder = new TextEncoder();

/**
 * The answer `{"pools":[…]}` for all pools that the caller may read, in pieces of as many pools each.
 *
 * @param only the names of the pools that are wanted; the others are not opened. Default all
 * @throws {PlasmiteError} Permission or Io when the directory cannot be read
 */
export async function* poolsJson(
  directory: Directory,
  grant: Grant,
  only?: ReadonlySet<string>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  const { backend, followers, followed, histograms } = directory;
  const choose = (names: readonly string[]): readonly string[] =>
    readable(only === undefined ? names : names.filter((name) => only.has(name)), grant);
  const own = new Set([...followed(), ...histograms.damaged()]);
  const slice = new Slice();
  // What is printed here, up to the next piece.
  let text = "";
  let head = '{"pools":[';
  let count = 0;
  for await (
    const { parts, seen } of backend.printed?.(choose, own) ?? [await all(backend, choose)]
  ) {
    for (const part of parts) {
      if (slice.over) await slice.next();
      if (part instanceof Uint8Array) {
        if (text !== "" || head !== "") yield encoder.encode(text + head);
        yield head === "" ? part : part.subarray(1);
        text = head = "";
        continue;
      }
      text += head === "" ? "," : head;
      head = "";
      text += infoJson(part, part.name, followers(part.name), histograms.unreadable(part));
      if (++count % PIECE > 0) continue;
      yield encoder.encode(text);
      text = "";
    }
    histograms.look(seen());
  }
  yield encoder.encode(`${text}${head}]}`);
}

async function all(backend: Backend, choose: Choose): Promise<PrintedPools> {
  const pools = await backend.list(choose);
  return { parts: pools, seen: () => pools };
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
export async function* newestOf(
  backend: Backend,
  grant: Grant,
): AsyncGenerator<readonly [name: string, seq: bigint], void> {
  const slice = new Slice();
  const pools = await backend.list((names) => readable(names, grant), { brief: true });
  for (const { name, lastSeq, bounds, error } of pools) {
    if (slice.over) await slice.next();
    // A damaged pool is left out; `GET /v0/pools` reports the problem.
    if (error === undefined) yield [name, lastSeq ?? bounds.newestSeq ?? 0n];
  }
}

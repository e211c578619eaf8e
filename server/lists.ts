/**
 * Texts about all pools of a directory, made in turns: there may be tens of thousands.
 *
 * @module
 */

import { Buf } from "../lib/bytes.ts";
import { filesOf, listed } from "../lib/backend/local/listing.ts";
import { poolName } from "../lib/backend/refs.ts";
import { Ring } from "../lib/pool/ring.ts";
import { disk } from "../lib/storage/file.ts";
import { inTurns, type Steps } from "../lib/storage/turns.ts";
import type { Grant } from "../lib/types.ts";
import type { Hubs } from "../lib/backend/local/hub.ts";
import { infoJson } from "./infos.ts";

/** Texts put one behind the other as UTF-8, so that no text of their whole length is ever made. */
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

/**
 * The answer `{"pools":[…]}` for all pools of `dir` that the caller may read.
 *
 * @throws {PlasmiteError} Permission or Io when the directory cannot be read
 */
export async function poolsJson(
  dir: string,
  hubs: Hubs,
  grant: Grant,
): Promise<Uint8Array<ArrayBuffer>> {
  return await inTurns(printing(readable(await filesOf(dir), grant), hubs));
}

function readable(paths: readonly string[], grant: Grant): readonly string[] {
  return paths.filter((path) => grant.can("read", poolName(path)));
}

function* printing(paths: readonly string[], hubs: Hubs): Steps<Uint8Array<ArrayBuffer>> {
  const texts = new Texts();
  texts.put('{"pools":[');
  let first = true;
  for (const path of paths) {
    const info = yield* listed(path);
    if (info !== null) {
      if (!first) texts.put(",");
      first = false;
      texts.put(infoJson(info, info.name, false, hubs.followers(path)));
    }
    yield "more";
  }
  texts.put("]}");
  return texts.bytes();
}

/**
 * The name and the newest sequence number of each pool of `dir` that can be opened, of those
 * that the caller may read.
 *
 * @throws {PlasmiteError} Permission or Io when the directory cannot be read
 */
export async function newestOf(dir: string, grant: Grant): Promise<[string, bigint][]> {
  return await inTurns(looking(readable(await filesOf(dir), grant)));
}

function* looking(paths: readonly string[]): Steps<[string, bigint][]> {
  const found: [string, bigint][] = [];
  for (const path of paths) {
    yield "more";
    let ring: Ring;
    try {
      ring = yield* Ring.opening(disk, path, { write: false });
    } catch {
      continue; // A damaged pool has no number; `GET /v0/pools` says what is wrong with it.
    }
    found.push([poolName(path), ring.newestHint()]);
    ring.close();
  }
  return found;
}

/**
 * What all pools can do to coordinate those who use them; each call loads what it needs.
 *
 * @module
 */

import type { IntegerPolicy } from "../lite3/value.ts";
import type { Reach } from "./access.ts";
import type {
  ClaimOptions,
  Cursor,
  CursorInfo,
  CursorOptions,
  Group,
  GroupOptions,
  LatestOptions,
  Lease,
  SetCursorOptions,
} from "./coordination.ts";
import { Message } from "./message.ts";
import { checkOptions, type OptionKinds } from "./option_kinds.ts";
import { checkTags, checkWhere, type JsonObject, type Seq } from "./options.ts";
import { compileAll } from "./tail.ts";

const LATEST_KINDS: OptionKinds<LatestOptions> = {
  tags: "checked",
  where: "checked",
  having: "checked",
};

/**
 * The options of a search for the newest of each group.
 *
 * @throws {PlasmiteError} Usage
 */
export function checkLatest(options: LatestOptions | undefined): {
  readonly tags: readonly string[];
  readonly where: readonly string[];
  readonly having: readonly string[];
} {
  const { tags, where, having } = checkOptions(options, "latestBy", LATEST_KINDS);
  return { tags: checkTags(tags), where: checkWhere(where), having: checkWhere(having) };
}

/**
 * The part of local and remote pools that is for working together: the newest message by key,
 * leases, cursors, work groups.
 *
 * @example A function for any pool
 * ```ts
 * import { Client, type CoordinatedPool } from "@plasmite/core";
 *
 * async function alone(pool: CoordinatedPool, work: () => void): Promise<void> {
 *   await using _lease = await pool.claim("work", { holder: "ann" });
 *   work();
 * }
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("claims");
 * await alone(pool, () => {});
 * ```
 */
export abstract class CoordinatedPool<T extends object = JsonObject> {
  readonly #reach: Reach;
  readonly #values: IntegerPolicy;

  /** For internal use. */
  constructor(reach: Reach, integers: IntegerPolicy) {
    this.#reach = reach;
    this.#values = integers;
  }

  /**
   * Returns the newest message with a key.
   *
   * @param key the key, as given to an append
   * @returns the message, or null if none is retained
   * @throws {PlasmiteError} Usage for an invalid key; as reading
   */
  async latestAsync(key: string): Promise<Message<T> | null> {
    const { checkKey } = await import("../coordination/names.ts");
    const { coordination } = await this.#reach(false);
    const found = await coordination.latest(checkKey(key, "key"));
    return found === null ? null : this.#stored(found);
  }

  /**
   * Returns the newest message of each group, ordered by sequence number.
   *
   * @param by the beginning of a tag, such as `agent:`, or a path, such as `.data.agent`
   * @param options which messages and groups
   * @returns one message a group; a message that is the newest of several groups once
   * @throws {PlasmiteError} Usage for an invalid path or expression; as reading
   */
  async latestByAsync(by: string, options?: LatestOptions): Promise<Message<T>[]> {
    const { tags, where, having } = checkLatest(options);
    const request = { tags, where: await compileAll(where), having: await compileAll(having) };
    const { coordination } = await this.#reach(false);
    const { messages } = await coordination.latestBy(by, request);
    return messages.map((one) => this.#stored(one));
  }

  #stored({ seq, timestampNs, payload }: {
    readonly seq: bigint;
    readonly timestampNs: bigint;
    readonly payload: Uint8Array<ArrayBuffer>;
  }): Message<T> {
    return new Message<T>(seq, timestampNs, { payload, integers: this.#values });
  }

  /**
   * Claims keys, all of them or none. Claims are messages: give them a pool of their own.
   *
   * Claiming the same keys again with the same holder renews the lease.
   *
   * @param keys one key or several
   * @param options who claims, for how long
   * @returns the lease, which is renewed until it is released
   * @throws {PlasmiteError} Busy if another holds one of the keys, with `holder` and `until` in
   *   `details`; Usage; as an append
   */
  async claim(keys: string | readonly string[], options: ClaimOptions): Promise<Lease> {
    const { claimKeys } = await import("./lease.ts");
    return await claimKeys(this.#reach, keys, options);
  }

  /**
   * Opens a cursor, and creates it if it is new.
   *
   * @param name 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`
   * @param options where a new one starts
   * @returns the cursor, held until it is closed
   * @throws {PlasmiteError} Busy while another reader has it, NotFound if the pool was replaced since
   *   it was used, Corrupt if its file is damaged, Usage, Permission, Io
   */
  async cursor(name: string, options?: CursorOptions): Promise<Cursor<T>> {
    const { openCursor } = await import("./cursor.ts");
    return await openCursor<T>(this.#reach, name, options, this.#values);
  }

  /**
   * Lists the cursors and groups of the pool, sorted by name.
   *
   * @param options the directory of cursors, if it is not beside the pool
   * @returns their positions; one that is damaged has `error` set
   * @throws {PlasmiteError} Usage, Permission, Io
   */
  async cursors(options: { readonly dir?: string } = {}): Promise<CursorInfo[]> {
    const { dir } = checkOptions(options, "cursors", { dir: "string" });
    const { coordination } = await this.#reach(false);
    return [...await coordination.cursors(dir)];
  }

  /**
   * Sets a cursor that nobody holds, creates it, or repairs a damaged one.
   *
   * @param name its name
   * @param to the new position: everything up to this number is done
   * @param options the required current position
   * @returns its new state
   * @throws {PlasmiteError} Busy while a reader has it, Conflict if `ifSeq` differs, Usage for a
   *   number after the newest
   */
  async setCursor(
    name: string,
    to: "oldest" | "end" | Seq,
    options?: SetCursorOptions,
  ): Promise<CursorInfo> {
    const { setCursor } = await import("./cursor.ts");
    return await setCursor(this.#reach, name, to, options);
  }

  /**
   * Deletes a cursor or a group.
   *
   * @param name its name
   * @param options the directory of cursors, if it is not beside the pool
   * @throws {PlasmiteError} NotFound, Busy while a reader has it
   */
  async deleteCursor(name: string, options: { readonly dir?: string } = {}): Promise<void> {
    const { dir } = checkOptions(options, "deleteCursor", { dir: "string" });
    const { coordination } = await this.#reach(false);
    await coordination.deleteCursor(name, dir);
  }

  /**
   * Joins a work group; it is created by the first take.
   *
   * @param name 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`, not the name of a cursor
   * @param options which messages are tasks, and for how long they are handed out
   * @returns the group; close it when done
   * @throws {PlasmiteError} Usage
   */
  async group(name: string, options?: GroupOptions): Promise<Group<T>> {
    const { openGroup } = await import("./group.ts");
    return await openGroup<T>(this.#reach, name, options, this.#values);
  }
}

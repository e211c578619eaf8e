/**
 * The access keys of a pool directory: full keys are in `keys.json`, in the format of 1.x; limited
 * keys are in a separate file, so that a program that does not support limits never accepts them
 * (docs/spec/sharing.md 1.4, 1.8).
 *
 * @module
 */

import { isHex64, keyIdOf, parseAccessKey } from "../../lib/access/key.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { sha256 } from "../../lib/storage/sha256.ts";
import { startTimer } from "../../lib/timers.ts";
import type { Grant, Need } from "../../lib/types.ts";
import { damaged, readJson, type StateFolder } from "./folder.ts";
import { isRights, patternProblem, Patterns, type Restriction, RIGHTS } from "./rights.ts";

/** Full keys, in the format of 1.x. */
const FULL_FILE = "keys.json";
/** Limited keys; an addition to 1.x. */
const RESTRICTED_FILE = "restricted-keys.json";
const RESTRICTED_VERSION = 1;

/** The number of 32-bit words in a verifier. */
const WORDS = 8;
/** The maximum length of a name, in bytes. */
const LONGEST_NAME = 128;

/** A key as listed by `access keys`. A full key has none of the last three properties. */
export interface ListedKey {
  readonly id: string;
  readonly name: string;
  readonly revoked: boolean;
  /** Seconds since 1970. */
  readonly created_at: number | null;
  /** Seconds since 1970; covers only uses since the server started. */
  readonly last_used_at: number | null;
  readonly pools?: readonly string[];
  readonly rights?: string;
  readonly expires_at?: number | null;
}

/** A key to create. */
export interface NewKey {
  readonly name: string;
  readonly verifier: string;
  /** Null for a full key. */
  readonly restriction: Restriction | null;
}

/** Seconds since 1970. */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

/**
 * Validates the name of a key and returns it as stored.
 *
 * @throws {PlasmiteError} Usage
 */
export function checkedName(given: string): string {
  const name = given.trim();
  const length = new TextEncoder().encode(name).length;
  if (length >= 1 && length <= LONGEST_NAME && !/\p{Cc}/u.test(name)) return name;
  throw new PlasmiteError("Usage", "access key name must contain 1 to 128 characters", {
    hint: "Name the person or the device, without control characters.",
  });
}

/** What the holder of a key may currently do. */
export interface KeyGrant extends Grant {
  /** The key's id. */
  readonly id: string;
  /** Aborted when the key is revoked or expires. */
  readonly ended: AbortSignal;
  /** Whether it is still valid. */
  readonly isLive: boolean;
  /** Records a use. */
  use(): void;
}

/** One key. */
class Key implements KeyGrant {
  readonly id: string;
  readonly words: Uint32Array;
  readonly restriction: Restriction | null;
  readonly #ending = new AbortController();
  readonly #patterns: Patterns | null;
  lastUsedAt: number | null = null;

  constructor(
    readonly subject: string,
    readonly verifier: string,
    readonly createdAt: number | null,
    restriction: Restriction | null,
    public revoked: boolean,
  ) {
    this.id = keyIdOf(verifier);
    this.words = new Uint32Array(Uint8Array.fromHex(verifier).buffer);
    this.restriction = restriction;
    const all = restriction === null || restriction.pools.includes("*");
    this.#patterns = all ? null : new Patterns(restriction.pools);
    if (revoked) this.#ending.abort();
  }

  get ended(): AbortSignal {
    return this.#ending.signal;
  }

  get expiresAt(): number | null {
    return this.restriction?.expiresAt ?? null;
  }

  /** Whether it is valid; an expired key never becomes valid again. */
  get isLive(): boolean {
    const { expiresAt } = this;
    if (expiresAt !== null && Date.now() >= expiresAt * 1000) this.end();
    return !this.#ending.signal.aborted;
  }

  can(need: Need, pool?: string): boolean {
    if (!this.isLive) return false;
    if (this.restriction === null) return true;
    const needs: readonly Need[] = RIGHTS[this.restriction.rights];
    if (!needs.includes(need)) return false;
    return pool === undefined || this.#patterns === null || this.#patterns.match(pool);
  }

  use(): void {
    this.lastUsedAt = nowSeconds();
  }

  /** Ends its streams and pending waits. */
  end(): void {
    this.#ending.abort();
  }

  listed(): ListedKey {
    const { id, subject, revoked, createdAt, lastUsedAt, restriction } = this;
    return {
      id,
      name: subject,
      revoked,
      created_at: createdAt,
      last_used_at: lastUsedAt,
      ...restriction === null ? {} : {
        pools: restriction.pools,
        rights: restriction.rights,
        expires_at: restriction.expiresAt,
      },
    };
  }
}

/** The bytes of a bearer value in the format of a secret, or null. */
function secretBytes(text: string): Uint8Array | null {
  return /^[0-9a-f]{64}$/i.test(text) ? Uint8Array.fromHex(text) : null;
}

/** The keys of one pool directory. */
export class KeyStore {
  readonly #folder: StateFolder;
  readonly #keys: Key[];
  /** Unknown properties of the entries in keys.json. */
  readonly #foreign: Map<string, object>;
  #timer: ReturnType<typeof setTimeout> | undefined;

  private constructor(folder: StateFolder, keys: Key[], foreign: Map<string, object>) {
    this.#folder = folder;
    this.#keys = keys;
    this.#foreign = foreign;
  }

  /**
   * Reads the keys.
   *
   * A missing file counts as empty. A damaged one is an error: continuing without it would lose
   * track of which keys are limited or revoked.
   *
   * @throws {PlasmiteError} Corrupt, Permission, Io
   */
  static load(folder: StateFolder): KeyStore {
    const foreign = new Map<string, object>();
    const restricted = restrictedKeys(folder);
    const full = fullKeys(folder, foreign);
    const keys: Key[] = [];
    for (const key of full) {
      const limited = restricted.find(({ verifier }) => verifier === key.verifier);
      if (limited === undefined) keys.push(key);
      else if (key.revoked) limited.revoked = true; // The stricter of two entries applies.
    }
    for (const key of restricted) if (key.revoked) key.end();
    const store = new KeyStore(folder, [...keys, ...restricted], foreign);
    return store;
  }

  /**
   * The grant of the key that matches a bearer value; null if there is none. Always compares all
   * keys in full.
   */
  find(secret: string): KeyGrant | null {
    const bytes = secretBytes(secret);
    if (bytes === null) return null;
    const given = new Uint32Array(sha256(bytes).buffer);
    let found: Key | null = null;
    for (const key of this.#keys) {
      let difference = 0;
      for (let i = 0; i < WORDS; i++) difference |= (given[i] ?? 0) ^ (key.words[i] ?? 0);
      if (difference === 0) found = key;
    }
    if (found === null || !found.isLive) return null;
    found.use();
    return found;
  }

  /**
   * The grant for a complete access key as pasted by a person; null if it is malformed, wrong, or
   * for another server.
   *
   * @param fingerprint of this server, which is part of its keys
   */
  match(accessKey: string, fingerprint: string): KeyGrant | null {
    try {
      const { spki, secret } = parseAccessKey(accessKey);
      return spki === fingerprint ? this.find(secret) : null;
    } catch (error) {
      if (PlasmiteError.is(error, ErrorKind.Usage)) return null;
      throw error;
    }
  }

  /** The key with this id, if it is valid. */
  byId(id: string): KeyGrant | null {
    return this.#keys.find((key) => key.id === id && key.isLive) ?? null;
  }

  /** All keys, oldest first. */
  list(): ListedKey[] {
    const listed = this.#keys.map((key) => key.listed());
    return listed.sort((a, b) => (a.created_at ?? 0) - (b.created_at ?? 0));
  }

  /**
   * Adds a key; it becomes valid once written.
   *
   * @throws {PlasmiteError} Io
   */
  add({ name, verifier, restriction }: NewKey): void {
    const key = new Key(name, verifier, nowSeconds(), restriction, false);
    this.#write([...this.#keys, key], restriction !== null);
    this.#keys.push(key);
    if (this.#timer !== undefined) this.watchExpiry();
  }

  /**
   * Revokes a key; its streams end once that is written. Revoking it again has no effect.
   *
   * @throws {PlasmiteError} NotFound, Io
   */
  revoke(id: string): void {
    const keys = this.#keys.filter((key) => key.id === id);
    if (keys.length === 0) {
      throw new PlasmiteError("NotFound", "access key not found", {
        hint: "The list of keys has the ids.",
      });
    }
    for (const key of keys) {
      if (key.revoked) continue;
      key.revoked = true;
      try {
        this.#write(this.#keys, key.restriction !== null);
      } catch (error) {
        key.revoked = false;
        throw error;
      }
      key.end();
    }
  }

  /** Starts ending keys and their streams when they expire. */
  watchExpiry(): void {
    this.close();
    const ends = this.#keys.filter((key) => key.isLive)
      .flatMap(({ expiresAt }) => expiresAt === null ? [] : [expiresAt * 1000]);
    // Check at least once a day, so that keys added later are not missed.
    const next = Math.min(...ends, Date.now() + 86_400_000);
    this.#timer = startTimer(() => this.watchExpiry(), next - Date.now());
    Deno.unrefTimer(this.#timer);
  }

  /** Stops what {@linkcode KeyStore.watchExpiry} started. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #write(keys: readonly Key[], restricted: boolean): void {
    const entries = keys.filter(({ restriction }) => (restriction !== null) === restricted)
      .map((key) => ({
        ...this.#foreign.get(key.verifier),
        name: key.subject,
        verifier: key.verifier,
        revoked: key.revoked,
        created_at: key.createdAt,
        ...key.restriction === null ? {} : {
          pools: key.restriction.pools,
          rights: key.restriction.rights,
          expires_at: key.restriction.expiresAt,
        },
      }));
    const name = restricted ? RESTRICTED_FILE : FULL_FILE;
    const value = restricted ? { version: RESTRICTED_VERSION, keys: entries } : entries;
    this.#folder.write(name, JSON.stringify(value));
  }
}

type Entry = Readonly<Record<string, unknown>>;

function isEntry(value: unknown): value is Entry {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSeconds(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value);
}

/** The properties of an entry that are common to both files. */
function parseCommon(entry: unknown, path: string) {
  if (!isEntry(entry)) throw damaged(path, "an entry is no object");
  const { name, verifier, revoked, created_at: createdAt = null } = entry;
  if (typeof name !== "string") throw damaged(path, "an entry has no name");
  if (typeof verifier !== "string" || !isHex64(verifier)) {
    throw damaged(path, "an entry has no verifier");
  }
  if (typeof revoked !== "boolean") throw damaged(path, "an entry does not say if it is revoked");
  if (createdAt !== null && !isSeconds(createdAt)) throw damaged(path, "an entry has a wrong date");
  return { entry, name, verifier, revoked, createdAt };
}

function fullKeys(folder: StateFolder, foreign: Map<string, object>): Key[] {
  const path = `${folder.path}/${FULL_FILE}`;
  const value = readJson(folder, FULL_FILE) ?? [];
  if (!Array.isArray(value)) throw damaged(path, "it is no list");
  return value.map((one) => {
    const { entry, name, verifier, revoked, createdAt } = parseCommon(one, path);
    foreign.set(verifier, entry);
    return new Key(name, verifier, createdAt, null, revoked);
  });
}

function restrictedKeys(folder: StateFolder): Key[] {
  const path = `${folder.path}/${RESTRICTED_FILE}`;
  const value = readJson(folder, RESTRICTED_FILE);
  if (value === null) return [];
  if (!isEntry(value) || value["version"] !== RESTRICTED_VERSION) {
    throw damaged(path, "it has an unknown form");
  }
  const { keys } = value;
  if (!Array.isArray(keys)) throw damaged(path, "it has no list of keys");
  return keys.map((one) => {
    const { entry, name, verifier, revoked, createdAt } = parseCommon(one, path);
    return new Key(name, verifier, createdAt, parseRestriction(entry, path), revoked);
  });
}

function parseRestriction(entry: Entry, path: string): Restriction {
  const { pools, rights, expires_at: expiresAt } = entry;
  const good = (pattern: unknown): pattern is string =>
    typeof pattern === "string" && patternProblem(pattern) === null;
  if (!Array.isArray(pools) || !pools.every(good)) throw damaged(path, "an entry has wrong pools");
  if (!isRights(rights)) throw damaged(path, "an entry has unknown rights");
  if (expiresAt !== null && !isSeconds(expiresAt)) throw damaged(path, "an entry has a wrong end");
  return { pools, rights, expiresAt };
}

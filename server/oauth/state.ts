/**
 * The file `oauth.json`: its format and validation (docs/spec/sharing.md 5).
 *
 * @module
 */

import { damaged, readJson, type StateFolder } from "../access/folder.ts";

/** The file's name. */
export const FILE = "oauth.json";

/** A registered client. */
export interface OAuthClient {
  readonly id: string;
  readonly name: string;
  readonly redirect_uris: readonly string[];
  /** Seconds since 1970; null once approved. */
  readonly expires_at: number | null;
  /** The key used for the last approval. */
  readonly key_id: string | null;
}

/** An unused code. */
export interface CodeEntry {
  readonly hash: string;
  readonly client_id: string;
  readonly redirect_uri: string;
  readonly challenge: string;
  readonly resource: string;
  readonly key_id: string;
  readonly expires_at: number;
}

/** A grant to a client. */
export interface GrantEntry {
  readonly id: string;
  readonly client_id: string;
  readonly resource: string;
  readonly key_id: string;
  readonly refresh_hash: string;
}

/** An access token. */
export interface TokenEntry {
  readonly hash: string;
  readonly grant_id: string;
  readonly expires_at: number;
}

/** The complete state. */
export interface OAuthState {
  readonly clients: readonly OAuthClient[];
  readonly codes: readonly CodeEntry[];
  readonly grants: readonly GrantEntry[];
  readonly access_tokens: readonly TokenEntry[];
}

/** An empty state. */
export const EMPTY: OAuthState = { clients: [], codes: [], grants: [], access_tokens: [] };

/** A state in the file's format. */
export function fileText(state: OAuthState): string {
  return JSON.stringify(state);
}

type Fields = Readonly<Record<string, unknown>>;

/** Validates the entries of a list. */
class Entries {
  readonly #path: string;
  readonly #fields: Fields;

  constructor(path: string, value: unknown) {
    this.#path = path;
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw this.#wrong();
    this.#fields = value as Fields;
  }

  #wrong(): Error {
    return damaged(this.#path, "an entry has a wrong form");
  }

  list<T>(name: string, read: (entry: Entries) => T): T[] {
    const value = this.#fields[name] ?? [];
    if (!Array.isArray(value)) throw this.#wrong();
    return value.map((one) => read(new Entries(this.#path, one)));
  }

  text(name: string): string {
    const value = this.#fields[name];
    if (typeof value !== "string") throw this.#wrong();
    return value;
  }

  textOrNull(name: string): string | null {
    return (this.#fields[name] ?? null) === null ? null : this.text(name);
  }

  seconds(name: string): number {
    const value = this.#fields[name];
    if (typeof value !== "number" || !Number.isSafeInteger(value)) throw this.#wrong();
    return value;
  }

  secondsOrNull(name: string): number | null {
    return (this.#fields[name] ?? null) === null ? null : this.seconds(name);
  }

  texts(name: string): readonly string[] {
    const value = this.#fields[name];
    if (!Array.isArray(value)) throw this.#wrong();
    if (!value.every((one): one is string => typeof one === "string")) throw this.#wrong();
    return value;
  }
}

/**
 * Reads the file; the state is empty if it does not exist.
 *
 * @throws {PlasmiteError} Corrupt, Permission, Io
 */
export function readState(folder: StateFolder): OAuthState {
  const value = readJson(folder, FILE);
  if (value === null) return EMPTY;
  const file = new Entries(`${folder.path}/${FILE}`, value);
  return {
    clients: file.list("clients", (entry) => ({
      id: entry.text("id"),
      name: entry.text("name"),
      redirect_uris: entry.texts("redirect_uris"),
      expires_at: entry.secondsOrNull("expires_at"),
      key_id: entry.textOrNull("key_id"),
    })),
    codes: file.list("codes", (entry) => ({
      hash: entry.text("hash"),
      client_id: entry.text("client_id"),
      redirect_uri: entry.text("redirect_uri"),
      challenge: entry.text("challenge"),
      resource: entry.text("resource"),
      key_id: entry.text("key_id"),
      expires_at: entry.seconds("expires_at"),
    })),
    grants: file.list("grants", (entry) => ({
      id: entry.text("id"),
      client_id: entry.text("client_id"),
      resource: entry.text("resource"),
      key_id: entry.text("key_id"),
      refresh_hash: entry.text("refresh_hash"),
    })),
    access_tokens: file.list("access_tokens", (entry) => ({
      hash: entry.text("hash"),
      grant_id: entry.text("grant_id"),
      expires_at: entry.seconds("expires_at"),
    })),
  };
}

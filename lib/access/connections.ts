/**
 * Saved connections: which key belongs to which server (docs/spec/sharing.md 1.5). The file
 * format is that of 1.x, so that both versions can share the file.
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../errors.ts";
import { untilUnlocked } from "../storage/lock_wait.ts";
import { osError } from "../storage/os_error.ts";
import { replaceFile } from "../storage/temporary.ts";
import { inTurns } from "../storage/turns.ts";
import { exists, secure, usableFolder } from "./folder.ts";
import type { AccessKey } from "./key.ts";

const VERSION = 1;
/** The first byte of a saved connection. */
const RECORD_VERSION = 1;
const DIGEST_BYTES = 32;
/** The maximum file size, in bytes. */
const LARGEST = 1024 * 1024;

/** The text saved for a key: version, address with its length, digest, secret; all in hex. */
export function encodeConnection(destination: string, { spki, secret }: AccessKey): string {
  const address = new TextEncoder().encode(destination);
  if (address.length > 0xffff) {
    throw new PlasmiteError("Usage", "server address is too long", {
      hint: "Use https://host:port.",
    });
  }
  const head = Uint8Array.of(RECORD_VERSION, address.length >> 8, address.length & 0xff);
  return head.toHex() + address.toHex() + spki + secret;
}

/** Parses the key from a saved text; null if it is damaged or belongs to another address. */
export function decodeConnection(destination: string, text: string): AccessKey | null {
  if (!/^(?:[0-9a-f]{2})+$/.test(text)) return null;
  const address = new TextEncoder().encode(destination);
  const key = text.slice(-4 * DIGEST_BYTES);
  const spki = key.slice(0, 2 * DIGEST_BYTES);
  const secret = key.slice(2 * DIGEST_BYTES);
  if (secret.length !== 2 * DIGEST_BYTES || address.length > 0xffff) return null;
  return encodeConnection(destination, { spki, secret }) === text ? { spki, secret } : null;
}

/** The entries of the file, by address. */
type Entries = ReadonlyMap<string, string>;

const NOTHING: Entries = new Map();

/** The saved connections in one folder. */
export class Connections {
  readonly #folder: string;
  readonly #path: string;
  readonly #lockPath: string;

  /** @param folder see `accessFolder`; created when something is saved */
  constructor(folder: string) {
    this.#folder = folder;
    this.#path = `${folder}/connections.json`;
    this.#lockPath = `${folder}/connections.lock`;
  }

  /**
   * The key saved for a server; null if there is none.
   *
   * @param destination an address as returned by `destinationOf`
   * @throws {PlasmiteError} Corrupt if the file or the entry is damaged, Permission if it cannot
   *   be trusted, Busy
   */
  async find(destination: string): Promise<AccessKey | null> {
    const text = (await this.#entries()).get(destination);
    if (text === undefined) return null;
    const key = decodeConnection(destination, text);
    if (key !== null) return key;
    throw this.#corrupt(`the saved connection to ${destination} is damaged`);
  }

  /** The addresses of all saved connections, sorted; entries are not validated. */
  async destinations(): Promise<string[]> {
    return [...(await this.#entries()).keys()].sort();
  }

  /** Saves a key, replacing an older one for the same server. */
  async save(destination: string, key: AccessKey): Promise<void> {
    const text = encodeConnection(destination, key);
    try {
      Deno.mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw osError(error, { path: this.#folder });
    }
    await this.#change((entries) => entries.set(destination, text));
  }

  /** Removes the entry for a server, if there is one. */
  async remove(destination: string): Promise<void> {
    if (!this.#isThere()) return;
    await this.#change((entries) => entries.delete(destination));
  }

  /** Whether anything is saved; without the file, the folder is not checked. */
  #isThere(): boolean {
    return exists(this.#path) && secure(this.#folder, "folder") && secure(this.#path, "file");
  }

  async #entries(): Promise<Entries> {
    if (!this.#isThere()) return NOTHING;
    using _lock = await this.#sharedLock();
    return this.#read();
  }

  /**
   * Takes the lock, if possible: a file system may be read-only or not support locks. The file is
   * replaced atomically, so that even without a lock a reader sees either the old or the new one.
   */
  async #sharedLock(): Promise<Disposable | null> {
    secure(this.#lockPath, "file");
    try {
      return await this.#lock(false);
    } catch (error) {
      if (PlasmiteError.is(error, ErrorKind.Busy)) throw error;
      return null;
    }
  }

  async #change(change: (entries: Map<string, string>) => void): Promise<void> {
    secure(this.#folder, "folder");
    secure(this.#lockPath, "file");
    using _lock = await this.#lock(true);
    const entries = new Map(secure(this.#path, "file") ? this.#read() : NOTHING);
    change(entries);
    this.#write(entries);
  }

  async #lock(exclusive: boolean): Promise<Deno.FsFile> {
    const path = this.#lockPath;
    let file: Deno.FsFile;
    try {
      file = Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
    } catch (error) {
      throw osError(error, { path });
    }
    try {
      await inTurns(untilUnlocked(path, () => file.tryLockSync(exclusive) ? file : null));
      return file;
    } catch (error) {
      file.close();
      throw osError(error, { path });
    }
  }

  #read(): Entries {
    let text: string;
    try {
      if (Deno.statSync(this.#path).size > LARGEST) throw this.#corrupt("the file is too large");
      text = Deno.readTextFileSync(this.#path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return NOTHING;
      throw osError(error, { path: this.#path });
    }
    const entries = parseFile(text);
    if (entries === null) throw this.#corrupt("the file of saved connections is damaged");
    return entries;
  }

  #write(entries: Entries): void {
    const connections = Object.fromEntries([...entries].sort(([a], [b]) => a < b ? -1 : 1));
    const text = JSON.stringify({ version: VERSION, connections });
    replaceFile(this.#path, text);
  }

  #corrupt(message: string): PlasmiteError {
    return new PlasmiteError("Corrupt", message, {
      path: this.#path,
      hint: "Move the file away, then connect to your servers again.",
      topic: "connections",
    });
  }
}

/** The entries of a file; null if it is not in our format. */
function parseFile(text: string): Entries | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (value === null || typeof value !== "object") return null;
  const { version, connections } = value as { readonly [key: string]: unknown };
  if (version !== VERSION || connections === null || typeof connections !== "object") return null;
  if (Array.isArray(connections)) return null;
  const entries = new Map<string, string>();
  for (const [destination, saved] of Object.entries(connections)) {
    if (typeof saved !== "string") return null;
    entries.set(destination, saved);
  }
  return entries;
}

/**
 * The key saved for a server; null if there is none or this program may not look for one.
 *
 * @throws {PlasmiteError} the same errors as {@linkcode Connections.find}
 */
export async function savedKey(server: URL): Promise<AccessKey | null> {
  const folder = usableFolder();
  return folder === undefined ? null : await new Connections(folder).find(server.href);
}

/**
 * Which servers run on this machine: one small file each, believed only when the server behind it
 * says the same (docs/spec/command-line.md 8.4).
 *
 * @module
 */

import {
  environmentVariable,
  isGranted,
  missingFlag,
  optionalVariable,
  workingDirectory,
} from "../lib/environment.ts";
import { removeQuietly } from "../lib/storage/temporary.ts";

/** What a server says of itself, in its file and at `/v0/serve/status`. */
export interface ServerRecord {
  /** 32 hex digits, random. */
  readonly instance: string;
  /** Its process. */
  readonly pid: number;
  /** The directory it serves, canonical. */
  readonly pool_dir: string;
  /** Where this machine reaches it over plain HTTP; null when it does not. */
  readonly local_url: string | null;
  /** Where others reach it; null when that is not known. */
  readonly remote_url: string | null;
}

/** How long a server may take to answer, in milliseconds. */
const PATIENCE = 300;
/** The largest record or answer that is read, in bytes. */
const LARGEST = 16 * 1024;
/** Servers asked at once. */
const AT_ONCE = 16;

/** The directory of the records, or null without a home. */
function registryDir(variable: (name: string) => string | undefined): string | null {
  const home = variable("HOME") ?? variable("USERPROFILE") ?? "";
  return home === "" ? null : `${home}/.plasmite/servers`;
}

/** A record for this process. */
export function makeRecord(
  poolDir: string,
  localUrl: string | null,
  remoteUrl: string | null,
): ServerRecord {
  let dir = poolDir;
  try {
    dir = Deno.realPathSync(poolDir);
  } catch {
    // A pool directory is made only with the first pool.
    if (!dir.startsWith("/")) dir = `${workingDirectory() ?? ""}/${dir}`;
  }
  return {
    instance: crypto.getRandomValues(new Uint8Array(16)).toHex(),
    pid: Deno.pid,
    pool_dir: dir,
    local_url: localUrl,
    remote_url: remoteUrl,
  };
}

/**
 * Writes a record; returns what removes it again. A record that cannot be written never stops a
 * server (docs/spec/http-api.md 12).
 */
export function register(
  record: ServerRecord,
  dir: string | null = registryDir(optionalVariable),
): () => void {
  if (dir === null || !isGranted({ name: "write", path: dir })) return () => {};
  const path = `${dir}/${record.instance}.json`;
  const temporary = `${dir}/.${record.instance}.tmp`;
  try {
    Deno.mkdirSync(dir, { recursive: true, mode: 0o700 });
    Deno.writeTextFileSync(temporary, `${JSON.stringify(record)}\n`, { mode: 0o600 });
    Deno.renameSync(temporary, path);
  } catch {
    removeQuietly(temporary);
    return () => {};
  }
  return () => {
    try {
      Deno.removeSync(path);
    } catch {
      // Removed by somebody else, or the directory became read-only: readers ask the server anyway.
    }
  };
}

/** A record from text, or null for anything else. */
function parseRecord(text: string): ServerRecord | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (value === null || typeof value !== "object") return null;
  const { instance, pid, pool_dir, local_url, remote_url } = value as Record<string, unknown> & {
    readonly [key: string]: unknown;
  };
  const text_ = (given: unknown): given is string | null =>
    given === null || typeof given === "string";
  if (typeof instance !== "string" || typeof pid !== "number" || typeof pool_dir !== "string") {
    return null;
  }
  return text_(local_url) && text_(remote_url)
    ? { instance, pid, pool_dir, local_url, remote_url }
    : null;
}

/** What the server at `url` says of itself. */
async function status(url: string): Promise<Uint8Array> {
  const { Transport } = await import("../lib/backend/http/transport.ts");
  const server = new Transport(url, { timeoutMs: PATIENCE });
  try {
    return await server.bytes("/v0/serve/status", { limit: LARGEST });
  } finally {
    server.release();
  }
}

/** Whether the server behind a record says the same of itself. */
async function confirmed(record: ServerRecord): Promise<boolean> {
  const url = record.local_url;
  // Only numeric loopback addresses: a record must not make anyone call somewhere else.
  if (url === null || !/^http:\/\/(?:127\.\d+\.\d+\.\d+|\[::1\]):\d{1,5}$/.test(url)) return false;
  try {
    const text = new TextDecoder().decode(await status(url));
    const said = parseRecord(text);
    return said !== null && JSON.stringify(said) === JSON.stringify(record);
  } catch (error) {
    if (missingFlag(error) !== undefined) throw error;
    return false; // Gone, or too slow.
  }
}

function readRecords(dir: string): ServerRecord[] {
  const records: ServerRecord[] = [];
  let entries: Deno.DirEntry[];
  try {
    entries = [...Deno.readDirSync(dir)];
  } catch (error) {
    if (missingFlag(error) !== undefined) throw error;
    return [];
  }
  for (const { name, isFile } of entries) {
    if (!isFile || !name.endsWith(".json")) continue;
    try {
      const path = `${dir}/${name}`;
      if (Deno.statSync(path).size > LARGEST) continue;
      const record = parseRecord(Deno.readTextFileSync(path));
      if (record !== null) records.push(record);
    } catch {
      continue; // Removed between listing and reading.
    }
  }
  return records;
}

/** The servers that run now, sorted by directory and address. */
export async function runningServers(
  dir: string | null = registryDir(environmentVariable),
): Promise<ServerRecord[]> {
  const records = dir === null ? [] : readRecords(dir);
  const running: ServerRecord[] = [];
  for (let i = 0; i < records.length; i += AT_ONCE) {
    const some = records.slice(i, i + AT_ONCE);
    const good = await Promise.all(some.map(confirmed));
    running.push(...some.filter((_, at) => good[at]));
  }
  const key = (record: ServerRecord): string => `${record.pool_dir}\n${record.local_url}`;
  return running.sort((a, b) => key(a) < key(b) ? -1 : 1);
}

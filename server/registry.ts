/**
 * The registry of running servers: a small file for each, valid only while its server runs
 * (docs/spec/command-line.md 8.4).
 *
 * Our servers hold a lock on their file, which the system releases however the process ends. A
 * server on a plain loopback address is asked in addition; for records of other programs this is
 * the only evidence.
 *
 * @module
 */

import {
  environmentVariable,
  hasEveryPermission,
  isGranted,
  missingFlag,
  optionalVariable,
  workingDirectory,
} from "../lib/environment.ts";
import { removeQuietly, writeAll } from "../lib/storage/temporary.ts";

/** What a server reports about itself, in its file and at `/v0/serve/status`. */
export interface ServerRecord {
  /** 32 hex digits, random. */
  readonly instance: string;
  /** Its process ID. */
  readonly pid: number;
  /** The canonical path of the directory that it serves. */
  readonly pool_dir: string;
  /** Its loopback URL; null if it has none. */
  readonly local_url: string | null;
  /** Its URL for other machines; null if unknown. */
  readonly remote_url: string | null;
  /** What shows that it runs: the lock of its file, or also its response. Only in our records. */
  readonly alive_by?: "lock" | "answer";
}

/** How long to wait for a response, in milliseconds. */
const PATIENCE = 300;
/** The same for a server that holds its lock, and so runs: the machine may be busy. */
const PATIENCE_LOCKED = 5_000;
/** The largest record or response that is read, in bytes. */
const LARGEST = 16 * 1024;
/** How many servers are asked at once. */
const AT_ONCE = 16;

/** The directory of the records; null without a home directory. */
function registryDir(variable: (name: string) => string | undefined): string | null {
  const home = variable("HOME") ?? variable("USERPROFILE") ?? "";
  return home === "" ? null : `${home}/.plasmite/servers`;
}

/** A record for this process. */
export function makeRecord(
  poolDir: string,
  localUrl: string | null,
  remoteUrl: string | null,
  aliveBy: "lock" | "answer" = "answer",
): ServerRecord {
  let dir = poolDir;
  try {
    dir = Deno.realPathSync(poolDir);
  } catch {
    // The pool directory is created with the first pool.
    if (!dir.startsWith("/")) dir = `${workingDirectory() ?? ""}/${dir}`;
  }
  return {
    instance: crypto.getRandomValues(new Uint8Array(16)).toHex(),
    pid: Deno.pid,
    pool_dir: dir,
    local_url: localUrl,
    remote_url: remoteUrl,
    alive_by: aliveBy,
  };
}

/** Takes the lock of an open file, if it is free and the file system supports locks. */
function tryLock(file: Deno.FsFile, exclusive: boolean): boolean {
  try {
    // On Windows a locked file cannot be read.
    return Deno.build.os !== "windows" && file.tryLockSync(exclusive);
  } catch {
    return false;
  }
}

/** Writes a record that is locked before it becomes visible; null without support for locks. */
function writeLocked(path: string, record: ServerRecord): Deno.FsFile | null {
  const file = Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
  try {
    const locked = tryLock(file, true);
    const { alive_by: _, ...plain } = record;
    const text = `${JSON.stringify(locked ? record : plain)}\n`;
    writeAll(file, new TextEncoder().encode(text));
    if (locked) return file;
  } catch (error) {
    file.close();
    throw error;
  }
  file.close();
  return null;
}

/**
 * Writes a record; returns a function that removes it. Failures are ignored: they must not stop a
 * server (docs/spec/http-api.md 12).
 */
export function register(
  record: ServerRecord,
  dir: string | null = registryDir(optionalVariable),
): () => void {
  if (dir === null || !isGranted({ name: "write", path: dir })) return () => {};
  const path = `${dir}/${record.instance}.json`;
  const temporary = `${dir}/.${record.instance}.tmp`;
  let file: Deno.FsFile | null = null;
  try {
    Deno.mkdirSync(dir, { recursive: true, mode: 0o700 });
    file = writeLocked(temporary, record);
    Deno.renameSync(temporary, path);
  } catch {
    file?.close();
    removeQuietly(temporary);
    return () => {};
  }
  for (const dead of readRecords(dir).filter(isDead)) removeQuietly(dead.path);
  return () => {
    try {
      Deno.removeSync(path);
    } catch {
      // It was removed already, or the directory became read-only. Without a lock it is not valid.
    }
    file?.close();
    file = null;
  };
}

/** Parses a record; null if it is not one. */
function parseRecord(text: string): ServerRecord | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (value === null || typeof value !== "object") return null;
  const { instance, pid, pool_dir, local_url, remote_url, alive_by } = value as
    & Record<string, unknown>
    & { readonly [key: string]: unknown };
  const text_ = (given: unknown): given is string | null =>
    given === null || typeof given === "string";
  if (typeof instance !== "string" || typeof pid !== "number" || typeof pool_dir !== "string") {
    return null;
  }
  if (!text_(local_url) || !text_(remote_url)) return null;
  const locked = alive_by === "lock" || alive_by === "answer" ? { alive_by } as const : {};
  return { instance, pid, pool_dir, local_url, remote_url, ...locked };
}

/** What the server at `url` reports about itself. */
async function status(url: string, timeoutMs: number): Promise<Uint8Array> {
  const { Transport } = await import("../lib/backend/http/transport.ts");
  const server = new Transport(url, { timeoutMs });
  try {
    return await server.bytes("/v0/serve/status", { limit: LARGEST });
  } finally {
    server.release();
  }
}

/** The facts in which a server and its record must agree. */
function identity({ instance, pid, pool_dir, local_url, remote_url }: ServerRecord): string {
  return JSON.stringify([instance, pid, pool_dir, local_url, remote_url]);
}

/** Whether the server of a record reports the same. */
async function confirmed(record: ServerRecord): Promise<boolean> {
  const url = record.local_url;
  // Only numeric loopback addresses: a record must not cause requests to other machines.
  if (url === null || !/^http:\/\/(?:127\.\d+\.\d+\.\d+|\[::1\]):\d{1,5}$/.test(url)) return false;
  try {
    const patience = record.alive_by === undefined ? PATIENCE : PATIENCE_LOCKED;
    const text = new TextDecoder().decode(await status(url, patience));
    const said = parseRecord(text);
    return said !== null && identity(said) === identity(record);
  } catch (error) {
    if (missingFlag(error) !== undefined) throw error;
    return false; // It has stopped, or is too slow.
  }
}

/** A record and its file. */
interface Filed {
  readonly record: ServerRecord;
  readonly path: string;
  /** Whether the lock of the file is free. */
  readonly free: boolean;
}

function readRecord(path: string): Filed | null {
  using file = Deno.openSync(path);
  if (file.statSync().size > LARGEST) return null;
  const free = tryLock(file, false);
  const record = parseRecord(Deno.readTextFileSync(path));
  return record && { record, path, free };
}

function readRecords(dir: string): Filed[] {
  const records: Filed[] = [];
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
      const filed = readRecord(`${dir}/${name}`);
      if (filed !== null) records.push(filed);
    } catch {
      continue; // Removed between listing and reading.
    }
  }
  return records;
}

/** Whether the process of a record has ended, as far as can be checked without a prompt. */
function isGone(pid: number): boolean {
  if (Deno.build.os !== "linux" || !hasEveryPermission()) return false;
  try {
    Deno.statSync(`/proc/${pid}`);
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}

/** Whether the server of a record was killed. */
function isDead({ record, free }: Filed): boolean {
  return free && (record.alive_by !== undefined || isGone(record.pid));
}

/** Whether the server of a record runs; removes the file if it was killed. */
async function isRunning(filed: Filed): Promise<boolean> {
  if (isDead(filed)) {
    removeQuietly(filed.path);
    return false;
  }
  return filed.record.alive_by === "lock" || await confirmed(filed.record);
}

/** The running servers, sorted by directory and address. */
export async function runningServers(
  dir: string | null = registryDir(environmentVariable),
): Promise<ServerRecord[]> {
  const filed = dir === null ? [] : readRecords(dir);
  const running: ServerRecord[] = [];
  for (let i = 0; i < filed.length; i += AT_ONCE) {
    const some = filed.slice(i, i + AT_ONCE);
    const good = await Promise.all(some.map(isRunning));
    running.push(...some.filter((_, at) => good[at]).map(({ record }) => record));
  }
  const key = (record: ServerRecord): string =>
    `${record.pool_dir}\n${record.local_url ?? record.remote_url}`;
  return running.sort((a, b) => key(a) < key(b) ? -1 : 1);
}

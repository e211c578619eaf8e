/**
 * Finds the command that `tap` wraps, as `execvp` does, before a pool is created.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { isGranted } from "../environment.ts";

/** The default PATH of the C library. */
const DEFAULT_PATH = "/bin:/usr/bin";

/** The error for a command that does not exist. */
export function commandNotFound(
  program: string,
  causes: readonly string[],
  cause?: unknown,
): PlasmiteError {
  return new PlasmiteError("Usage", `wrapped command not found: ${program}`, {
    hint: "Check PATH or use an absolute executable path.",
    causes,
    cause,
  });
}

/** The error for a command that exists and cannot be started. */
export function commandRefused(causes: readonly string[], cause?: unknown): PlasmiteError {
  return new PlasmiteError("Io", "failed to spawn wrapped command", {
    hint: "Check that the file is executable.",
    causes,
    cause,
  });
}

/**
 * The path of a program; the program itself if it cannot be looked up, because of missing
 * permissions or on a system without `execvp`.
 *
 * @throws {PlasmiteError} Usage if there is no such program, Io if it cannot be executed
 */
export function findProgram(program: string): string {
  const known = Deno.build.os !== "windows" && isGranted({ name: "read" }) &&
    isGranted({ name: "env" });
  if (!known) return program;
  const places = candidates(program);
  if (places === null) return program;
  let refused = false;
  for (const path of places) {
    const found = judge(path, program);
    if (found === "program") return path;
    if (found === "refused") refused = true;
  }
  if (refused) throw commandRefused(["Permission denied (os error 13)"]);
  throw commandNotFound(program, ["No such file or directory (os error 2)"]);
}

function candidates(program: string): string[] | null {
  if (program === "") return [];
  if (program.includes("/")) return [program];
  return searchPath()?.map((dir) => `${dir === "" ? "." : dir}/${program}`) ?? null;
}

/**
 * The original PATH: if it has no `node`, Deno adds a directory that has one, and it sets a missing
 * PATH. Null if it cannot be read, because it is not UTF-8.
 */
function searchPath(): string[] | null {
  let path: string;
  try {
    path = Deno.env.get("PATH") ?? "";
  } catch {
    return null;
  }
  const dirs = path.split(":");
  const [first = ""] = dirs;
  if (first.endsWith("/node_compat_bin")) dirs.shift();
  else if (dirs.length === 1 && first === "") dirs.pop();
  return dirs.length === 0 ? DEFAULT_PATH.split(":") : dirs;
}

function judge(path: string, program: string): "program" | "refused" | "nothing" {
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(path);
  } catch (error) {
    // An unreadable directory on PATH is skipped; an explicit path is refused.
    const named = path === program && error instanceof Deno.errors.PermissionDenied;
    return named ? "refused" : "nothing";
  }
  if (!info.isFile || !isExecutable(info)) return "refused";
  return hasInterpreter(path) ? "program" : "nothing";
}

/** Whether we may execute a file, as far as known: supplementary groups are ignored. */
function isExecutable({ mode, uid, gid }: Deno.FileInfo): boolean {
  if (mode === null) return true;
  const owner = (mode & 0o100) !== 0;
  const group = (mode & 0o010) !== 0;
  const others = (mode & 0o001) !== 0;
  const me = isGranted({ name: "sys" }) ? Deno.uid() : null;
  if (me === null || me === 0) return owner || group || others;
  if (uid === me) return owner;
  return gid === Deno.gid() ? group : group || others;
}

/** Whether the interpreter of a script exists. */
function hasInterpreter(path: string): boolean {
  try {
    using file = Deno.openSync(path);
    const bytes = new Uint8Array(256);
    const text = new TextDecoder().decode(bytes.subarray(0, file.readSync(bytes) ?? 0));
    const interpreter = /^#![ \t]*(\S+)\s/.exec(text)?.[1];
    return interpreter === undefined || Deno.statSync(interpreter).isFile;
  } catch (error) {
    // A program can be executable but not readable.
    return !(error instanceof Deno.errors.NotFound);
  }
}

/**
 * Where the command is that `tap` wraps: looked up as `execvp` does, before a pool is made for it.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { isGranted } from "../environment.ts";

/** What a program of no PATH is looked for in, as the C library has it. */
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
 * The path of a program; the program itself where that cannot be told, because of narrow permissions
 * or on a system without `execvp`.
 *
 * @throws {PlasmiteError} Usage when there is no such program, Io when it cannot be executed
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
 * PATH as it was given to us: where it has no `node`, Deno puts a directory in front that has one, and
 * sets a PATH that is not set. Null when it cannot be read: it is not UTF-8.
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
    // A directory on PATH that we may not look into has nothing for us; one that was named is refused.
    const named = path === program && error instanceof Deno.errors.PermissionDenied;
    return named ? "refused" : "nothing";
  }
  if (!info.isFile || !isExecutable(info)) return "refused";
  return hasInterpreter(path) ? "program" : "nothing";
}

/** Whether we may execute a file, as far as that can be told: not which further groups we are in. */
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

/** Whether the interpreter that a script names is there. */
function hasInterpreter(path: string): boolean {
  try {
    using file = Deno.openSync(path);
    const bytes = new Uint8Array(256);
    const text = new TextDecoder().decode(bytes.subarray(0, file.readSync(bytes) ?? 0));
    const interpreter = /^#![ \t]*(\S+)\s/.exec(text)?.[1];
    return interpreter === undefined || Deno.statSync(interpreter).isFile;
  } catch (error) {
    // A program may be executable without being readable.
    return !(error instanceof Deno.errors.NotFound);
  }
}

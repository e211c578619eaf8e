/**
 * The folder of saved connections: locates it, and ensures that no other user can read or replace
 * its contents (docs/spec/sharing.md 1.5).
 *
 * @module
 */

import { environmentVariable, isGranted } from "../environment.ts";
import { PlasmiteError } from "../errors.ts";
import { osError } from "../storage/os_error.ts";

/** Reads an environment variable. */
export type Variable = (name: string) => string | undefined;

const OVERRIDE = "PLASMITE_ACCESS_HOME";
/** The variables that determine the folder's location. */
const VARIABLES = Deno.build.os === "windows"
  ? [OVERRIDE, "APPDATA"]
  : [OVERRIDE, "XDG_CONFIG_HOME", "HOME"];

/** The folder; undefined without a home directory. Throws Usage for an empty override. */
function folderOf(variable: Variable): string | undefined {
  const override = variable(OVERRIDE);
  if (override === "") {
    throw new PlasmiteError("Usage", `${OVERRIDE} is empty`, {
      hint: `Set ${OVERRIDE} to a folder for saved connections, or unset it.`,
    });
  }
  return override ?? defaultFolder(variable);
}

function defaultFolder(variable: Variable): string | undefined {
  const below = (home: string | undefined, path: string): string | undefined =>
    home ? `${home}/${path}` : undefined;
  switch (Deno.build.os) {
    case "windows":
      return below(variable("APPDATA"), "Plasmite");
    case "darwin":
      return below(variable("HOME"), "Library/Application Support/Plasmite");
    default: {
      const config = variable("XDG_CONFIG_HOME");
      // A relative path must be ignored (XDG Base Directory Specification).
      if (config?.startsWith("/")) return `${config}/plasmite`;
      return below(variable("HOME"), ".config/plasmite");
    }
  }
}

/**
 * The folder; it may not exist.
 *
 * @throws {PlasmiteError} Usage for an empty override or without a home directory
 */
export function accessFolder(variable: Variable = environmentVariable): string {
  const folder = folderOf(variable);
  if (folder !== undefined) return folder;
  throw new PlasmiteError("Usage", "no home directory for saved connections", {
    hint: `Set HOME, or ${OVERRIDE} to a folder.`,
  });
}

/**
 * The folder, if it can be determined and this program may use it. Never prompts: a library must
 * not ask for permissions that its user does not expect.
 *
 * @throws {PlasmiteError} Usage for an empty override
 */
export function usableFolder(): string | undefined {
  if (!VARIABLES.every((variable) => isGranted({ name: "env", variable }))) return undefined;
  const folder = folderOf(environmentVariable);
  if (folder === undefined) return undefined;
  const isUsable = isGranted({ name: "read", path: folder }) &&
    isGranted({ name: "write", path: folder }) && isGranted({ name: "sys", kind: "uid" });
  return isUsable ? folder : undefined;
}

/** The mode bit of folders in which anyone may create files. */
const STICKY = 0o1000;

/** Whether the path exists; a link counts, even if broken. */
export function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw osError(error, { path });
  }
}

/** Whether this platform has file owners and modes. */
const HAS_MODES = Deno.build.os !== "windows";

/**
 * Ensures that the folder or a file in it belongs to this user, is not a link, and is inaccessible
 * to others; looser modes are corrected.
 *
 * @returns whether it exists
 * @throws {PlasmiteError} Permission for a link or another owner
 */
export function secure(path: string, kind: "folder" | "file"): boolean {
  try {
    const { isSymlink, isDirectory, isFile, uid, mode } = Deno.lstatSync(path);
    if (isSymlink || !(kind === "folder" ? isDirectory : isFile)) {
      throw refused(path, `it is not a plain ${kind}`);
    }
    if (!HAS_MODES) return true;
    // Such as /tmp: restricting it would be worse than refusing it.
    if (((mode ?? 0) & STICKY) !== 0) throw refused(path, "it is shared by everybody");
    if (uid !== Deno.uid()) throw refused(path, "it belongs to another user");
    const wanted = kind === "folder" ? 0o700 : 0o600;
    if (((mode ?? 0) & 0o7777) !== wanted) Deno.chmodSync(path, wanted);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw osError(error, { path });
  }
}

function refused(path: string, why: string): PlasmiteError {
  return new PlasmiteError("Permission", `saved connections cannot be trusted: ${why}`, {
    path,
    hint: `Remove it, or set ${OVERRIDE} to a folder of your own.`,
  });
}

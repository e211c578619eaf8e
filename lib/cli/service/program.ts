/**
 * The program of a service: a copy of the program that runs `serve install`, so that upgrading or
 * deleting the original does not affect it (docs/spec/sharing.md 6.2).
 *
 * @module
 */

import { PlasmiteError } from "../../errors.ts";
import { osError } from "../../storage/os_error.ts";

/** What can be copied. */
export type Source =
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "file"; readonly path: string };

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return false;
    }
    throw osError(error, { path });
  }
}

/**
 * What this process runs from: an executable, or the output folder of `deno task bundle`.
 *
 * @throws {PlasmiteError} Usage when it is neither
 */
export function runningProgram(): Source {
  const deno = Deno.realPathSync(Deno.execPath());
  if (Deno.build.standalone) return { kind: "file", path: deno };
  const [, folder = ""] = /^(.*)\/lib\/deno$/.exec(deno) ?? [];
  const main = `${folder}/lib/cli.js`;
  const runs = folder !== "" && isFile(`${folder}/plasmite`) && isFile(main) &&
    decodeURIComponent(new URL(Deno.mainModule).pathname) === main;
  if (runs) return { kind: "folder", path: folder };
  throw new PlasmiteError("Usage", "only a packaged program can be installed as a service", {
    hint: "This one runs from its source or from npm. Make the package with `deno task bundle`, " +
      "unpack it, and run `plasmite serve install` of that folder.",
  });
}

/**
 * Copies the program into a service's folder, next to existing copies.
 *
 * @returns the target name for the `plasmite` link
 * @throws {PlasmiteError} Io
 */
export function copyProgram({ kind, path }: Source, folder: string): string {
  const name = `program-${crypto.randomUUID().slice(0, 8)}`;
  const target = `${folder}/${name}`;
  try {
    Deno.mkdirSync(`${target}/lib`, { recursive: true, mode: 0o700 });
    if (kind === "file") Deno.copyFileSync(path, `${target}/plasmite`);
    else {
      Deno.copyFileSync(`${path}/plasmite`, `${target}/plasmite`);
      for (const { name, isFile } of Deno.readDirSync(`${path}/lib`)) {
        if (isFile) Deno.copyFileSync(`${path}/lib/${name}`, `${target}/lib/${name}`);
      }
    }
    return `${name}/plasmite`;
  } catch (error) {
    throw osError(error, { path: target });
  }
}

/**
 * The target of the `plasmite` link in a folder; null if there is no link.
 *
 * @throws {PlasmiteError} Permission for another user's program, Io
 */
export function programLink(folder: string): string | null {
  const path = `${folder}/plasmite`;
  try {
    if (Deno.lstatSync(path).isSymlink) return Deno.readLinkSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw osError(error, { path });
  }
  throw new PlasmiteError("Permission", "the service was installed by another program", {
    path,
    hint: "Uninstall it with that program first.",
  });
}

/** Sets the link, or removes it if null, and deletes all other copies. Throws Io. */
export function linkProgram(folder: string, target: string | null): void {
  const path = `${folder}/plasmite`;
  try {
    if (target === null) {
      if (programLink(folder) !== null) Deno.removeSync(path);
    } else if (programLink(folder) !== target) {
      const fresh = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
      Deno.symlinkSync(target, fresh);
      Deno.renameSync(fresh, path);
    }
  } catch (error) {
    throw osError(error, { path });
  }
}

/** Deletes the copies that the link does not point to. Throws Io. */
export function removeOtherPrograms(folder: string): void {
  const kept = programLink(folder)?.split("/")[0];
  try {
    for (const { name } of [...Deno.readDirSync(folder)]) {
      if (!name.startsWith("program-") || name === kept) continue;
      Deno.removeSync(`${folder}/${name}`, { recursive: true });
    }
  } catch (error) {
    throw osError(error, { path: folder });
  }
}

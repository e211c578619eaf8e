/**
 * What is installed for a pool directory: a folder in `~/.plasmite/services` with `setup.json`
 * (docs/spec/sharing.md 6.2).
 *
 * @module
 */

import { environmentVariable } from "../../environment.ts";
import { PlasmiteError } from "../../errors.ts";
import { osError } from "../../storage/os_error.ts";
import { sha256Hex } from "../../storage/sha256.ts";
import type { Scope } from "./unit.ts";

/** An installed server. */
export interface Setup {
  readonly pool_dir: string;
  readonly program: string;
  readonly account: string;
  readonly home: string;
  /** The arguments after `serve`. */
  readonly run: readonly string[];
  /** An addition; 1.x supports only system units. */
  readonly scope: Scope;
}

/** The home directory, where everything is stored. Throws Usage if there is none. */
export function homeDir(): string {
  const home = environmentVariable("HOME") ?? "";
  if (home.startsWith("/")) return home;
  throw new PlasmiteError("Usage", "HOME is not set", {
    hint: "Services are kept in ~/.plasmite/services. Set HOME to your home directory.",
  });
}

/** The paths of one service. */
export class ServicePlace {
  /** The name of the unit, without `.service`. */
  readonly name: string;
  /** The folder with the setup, program and log. */
  readonly folder: string;

  /** @param poolDir the canonical path */
  constructor(readonly poolDir: string, home: string = homeDir()) {
    this.name = `net.plasmite.${sha256Hex(new TextEncoder().encode(poolDir))}`;
    this.folder = `${home}/.plasmite/services/${this.name}`;
  }

  get setupFile(): string {
    return `${this.folder}/setup.json`;
  }

  get program(): string {
    return `${this.folder}/plasmite`;
  }

  get log(): string {
    return `${this.folder}/serve.log`;
  }

  /** Creates the log if it does not exist. Throws Io. */
  makeLog(): void {
    try {
      Deno.openSync(this.log, { append: true, create: true, mode: 0o600 }).close();
    } catch (error) {
      throw osError(error, { path: this.log });
    }
  }

  /** The unit's file. */
  unitFile(scope: Scope): string {
    if (scope === "system") return `/etc/systemd/system/${this.name}.service`;
    const config = environmentVariable("XDG_CONFIG_HOME") || `${homeDir()}/.config`;
    return `${config}/systemd/user/${this.name}.service`;
  }

  /** The installed setup; null if there is none. Throws Corrupt, Io. */
  read(): Setup | null {
    const text = readOrNull(this.setupFile);
    return text === null ? null : parseSetup(text, this.setupFile);
  }

  /** Replaces the setup; null removes it. Throws Io. */
  write(text: string | null): void {
    replaceFile(this.setupFile, text, 0o600);
  }
}

/** A file's text, or null if it does not exist. Throws Io. */
export function readOrNull(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw osError(error, { path });
  }
}

/** Replaces a file atomically; null removes it. Throws Io. */
export function replaceFile(path: string, text: string | null, mode: number): void {
  try {
    if (text === null) return removeIfThere(path);
    const fresh = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o700 });
    Deno.writeTextFileSync(fresh, text, { createNew: true, mode });
    Deno.renameSync(fresh, path);
  } catch (error) {
    throw osError(error, { path });
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function parseSetup(text: string, path: string): Setup {
  const wrong = (): PlasmiteError =>
    new PlasmiteError("Corrupt", "the set-up of the service is damaged", {
      path,
      hint: "Run `plasmite serve uninstall`, then `plasmite serve install` with its options.",
    });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong();
  }
  if (typeof value !== "object" || value === null) throw wrong();
  const { pool_dir, program, account, home, run, scope = "system" } = value as Readonly<
    Record<string, unknown>
  >;
  const isText = (one: unknown): one is string => typeof one === "string";
  if (!isText(pool_dir) || !isText(program) || !isText(account) || !isText(home)) throw wrong();
  if (!Array.isArray(run) || !run.every(isText)) throw wrong();
  if (scope !== "user" && scope !== "system") throw wrong();
  return { pool_dir, program, account, home, run, scope };
}

/** This user's installed services; unreadable ones are listed with a problem. */
export function installedServices(): readonly InstalledService[] {
  const folder = `${homeDir()}/.plasmite/services`;
  let names: string[];
  try {
    names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw osError(error, { path: folder });
  }
  return names.flatMap((name): InstalledService[] => {
    const file = `${folder}/${name}/setup.json`;
    const text = readOrNull(file);
    if (text === null) return []; // Uninstalled; only the log remains.
    try {
      return [{ name, file, setup: parseSetup(text, file), problem: null }];
    } catch (error) {
      if (!PlasmiteError.is(error)) throw error;
      return [{ name, file, setup: null, problem: error.message }];
    }
  });
}

/** One installed service. */
export interface InstalledService {
  readonly name: string;
  readonly file: string;
  readonly setup: Setup | null;
  readonly problem: string | null;
}

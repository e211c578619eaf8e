/**
 * Pool references: what a word on the command line names, a file or a pool of a server
 * (docs/spec/command-line.md 1.3).
 *
 * @module
 */

import { isPathRef, poolPath } from "../backend/refs.ts";
import { PlasmiteError } from "../errors.ts";

/** A pool in a file. */
export interface LocalRef {
  readonly kind: "local";
  /** As typed. */
  readonly ref: string;
  /** The pool file; always holds a path separator, so that it is never taken for a name again. */
  readonly path: string;
}

/** A pool of a server. */
export interface RemoteRef {
  readonly kind: "remote";
  /** As typed. */
  readonly ref: string;
  /** The server's origin: `http://host:port`. */
  readonly origin: string;
  /** The pool's name, decoded. */
  readonly pool: string;
}

/** What a reference names. */
export type PoolRef = LocalRef | RemoteRef;

const SHORTHAND = "http(s)://host:port/<pool>";

/** The pool directory; finding the default one may need a permission, so it is asked for last. */
interface Place {
  readonly dir: string;
}

/** Resolves a reference of a command that works on local and remote pools. Throws Usage. */
export function resolveRef(ref: string, place: Place): PoolRef {
  return ref.includes("://") ? resolveRemote(ref) : resolveLocal(ref, place);
}

/**
 * Resolves a reference of a command for local pools only. A URL throws Usage "`command` accepts
 * local pool names or paths only".
 */
export function resolveLocalOnly(ref: string, place: Place, command: string): LocalRef {
  if (!ref.includes("://")) return resolveLocal(ref, place);
  const name = ref.slice(ref.lastIndexOf("/") + 1);
  // A pool of that name on this machine is another one: no command that deletes it.
  const line = command === "pool delete" || name === ""
    ? "."
    : `: \`plasmite ${command} ${name}\`.`;
  throw new PlasmiteError("Usage", `${command} accepts local pool names or paths only`, {
    hint: `Use a pool name or a path, on the machine that has the pool${line}`,
  });
}

function resolveLocal(ref: string, place: Place): LocalRef {
  return { kind: "local", ref, path: poolPath(ref, isPathRef(ref) ? "" : place.dir) };
}

function resolveRemote(ref: string): RemoteRef {
  const usage = (message: string, hint: string, causes?: string[]): PlasmiteError =>
    new PlasmiteError("Usage", message, { hint, causes });
  if (!ref.startsWith("http://") && !ref.startsWith("https://")) {
    const udp = ref.startsWith("udp://") ? "UDP is not offered. " : "";
    throw usage("remote pool ref must use http or https scheme", `${udp}Use ${SHORTHAND}.`);
  }
  let url: URL;
  try {
    url = new URL(ref);
  } catch (error) {
    throw usage("invalid remote pool ref", `Use ${SHORTHAND}.`, [String(error)]);
  }
  if (/[?#]/.test(ref)) {
    throw usage(
      "remote pool ref must not include query or fragment",
      `Use ${SHORTHAND}; options are given as flags.`,
    );
  }
  if (/%2f/i.test(url.pathname)) {
    throw usage(
      "remote pool name must not contain path separators",
      `Use ${SHORTHAND} with a plain name.`,
    );
  }
  const segments = url.pathname.split("/").slice(1);
  const [segment] = segments;
  if (segments.length !== 1 || !segment || segment === "pool") {
    const name = /^\/(?:(?:v0|ui)\/pools\/([^/]+)(?:\/.*)?|([^/]+)\/)$/.exec(url.pathname);
    const meant = name?.[1] ?? name?.[2];
    const tip = meant === undefined || /^pools?$/.test(meant)
      ? ""
      : `Did you mean ${url.origin}/${meant}? `;
    throw usage(
      "remote pool ref must use shorthand http(s)://host:port/<pool>",
      `${tip}Use ${SHORTHAND}; an API-shaped URL like /v0/pools/<pool>/append is not a pool ref.`,
    );
  }
  return { kind: "remote", ref, origin: url.origin, pool: decode(segment) };
}

/** Escapes that are not UTF-8 stay as they are. */
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

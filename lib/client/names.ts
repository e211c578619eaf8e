/**
 * Limits on the names and sizes of pools for HTTP clients and agents: names only, never paths
 * (docs/spec/http-api.md 1).
 *
 * @module
 */

const SUFFIX = ".plasmite";
/** The longest file name that common file systems take, in bytes. */
const LONGEST = 255;

/**
 * The largest pool that can be created over HTTP or by agents, in bytes: creating a sparse file is
 * free, whatever its size.
 */
export const LARGEST_POOL = 2n ** 40n;
/** The longest age limit of a pool, in milliseconds. */
export const LONGEST_AGE_MS = 18_446_744_073_709;

/** The problem with a name, and how to fix it. */
export interface NameProblem {
  /** The problem. */
  readonly message: string;
  /** What to do. */
  readonly hint: string;
}

/**
 * The problem with a name: separators, empty, dots only, control characters, lone surrogates, too
 * long for a file name.
 */
export function nameProblem(name: string): NameProblem | undefined {
  const wrong = (message: string, hint: string): NameProblem => ({ message, hint });
  if (name.includes("/") || (Deno.build.os === "windows" && /[\\:]/.test(name))) {
    return wrong(
      "pool name must not contain path separators",
      "Use a plain pool name such as `jobs`.",
    );
  }
  const bare = name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : name;
  if (/^\.*$/.test(bare)) {
    return wrong(
      bare === "" ? "pool name is empty" : "pool name has only dots",
      "Use a name such as `jobs`.",
    );
  }
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x1f\x7f]/.test(name) || !name.isWellFormed()) {
    return wrong("invalid pool name", "Use a name without control characters.");
  }
  const most = LONGEST - SUFFIX.length;
  if (new TextEncoder().encode(bare).length <= most) return undefined;
  return wrong(`pool name has more than ${most} bytes`, "Use a shorter name.");
}

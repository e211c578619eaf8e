/**
 * What callers from elsewhere, over HTTP or as agents, may call a pool and how large they may make
 * it: names only, never paths (docs/spec/http-api.md 1).
 *
 * @module
 */

const SUFFIX = ".plasmite";
/** The longest file name that common file systems take, in bytes. */
const LONGEST = 255;

/** The largest pool that can be made from afar, in bytes: a sparse file of any size costs nothing. */
export const LARGEST_POOL = 2n ** 40n;

/** What is wrong with a name, and what would be right. */
export interface NameProblem {
  /** What is wrong. */
  readonly message: string;
  /** What to do. */
  readonly hint: string;
}

/**
 * What is wrong with a name: separators, no name, dots only, control characters, half of a surrogate
 * pair, more bytes than a file name has.
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

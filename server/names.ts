/**
 * Which pool names a server accepts: names only, never paths (docs/spec/http-api.md 1).
 *
 * @module
 */

import { bad } from "./errors.ts";

const SUFFIX = ".plasmite";
/** The longest file name that common file systems take, in bytes. */
const LONGEST = 255;

/**
 * The name, checked.
 *
 * @throws {HttpError} 400 for separators, empty names, dots only, control characters, over-length
 */
export function checkPoolName(name: string): string {
  if (name.includes("/") || (Deno.build.os === "windows" && /[\\:]/.test(name))) {
    throw bad("pool name must not contain path separators", "Use the bare name of a pool.");
  }
  const bare = name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : name;
  if (/^\.*$/.test(bare)) {
    throw bad("pool name is empty", "Use a name such as `chat`, not only dots.");
  }
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x1f\x7f]/.test(name) || !name.isWellFormed()) {
    throw bad("invalid pool name", "Use a name without control characters.");
  }
  if (new TextEncoder().encode(bare).length + SUFFIX.length > LONGEST) {
    throw bad("pool name is too long", `Use at most ${LONGEST - SUFFIX.length} bytes.`);
  }
  return name;
}

/**
 * One path segment, decoded as UTF-8.
 *
 * @throws {HttpError} 400 when it is not valid percent-encoding of UTF-8
 */
export function decodeSegment(segment: string): string {
  if (!segment.includes("%")) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    throw bad("invalid percent-encoding in the path", "Encode names as UTF-8.");
  }
}

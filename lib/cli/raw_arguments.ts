/**
 * Arguments whose bytes are not UTF-8. Deno replaces such bytes by U+FFFD before anyone sees them:
 * another directory would be made, other data stored, another program run than was named. Loaded
 * only when an argument holds U+FFFD.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { hasEveryPermission } from "../environment.ts";

/** How many characters of an argument to show. */
const SHOWN = 80;

/**
 * Refuses arguments that are not UTF-8.
 *
 * @throws {PlasmiteError} Usage for bytes that are not UTF-8; also for U+FFFD where the bytes
 *   cannot be read, for it may stand for any
 */
export function refuseInvalidArguments(argv: readonly string[]): void {
  const typed = lastArguments(argv.length);
  for (const [i, word] of argv.entries()) {
    if (!word.includes("\ufffd")) continue;
    const bytes = typed?.[i];
    // The bytes do not belong to this word: they cannot be checked.
    if (
      bytes === undefined || new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes) !== word
    ) {
      throw new PlasmiteError("Usage", `argument may not be what was typed: ${shorten(word)}`, {
        hint:
          "It holds U+FFFD, which also stands for bytes that are not UTF-8, and Deno shows the " +
          "bytes only with all permissions (-A, on Linux). Use -A, or another name.",
      });
    }
    if (!isUtf8(bytes)) {
      throw new PlasmiteError("Usage", `argument is not UTF-8: ${shorten(escapeBytes(bytes))}`, {
        hint: "Only UTF-8 can be passed on. Rename the file, or convert the text with iconv.",
      });
    }
  }
}

/** The bytes of the last `count` arguments of this process; null if they cannot be read. */
function lastArguments(count: number): readonly Uint8Array[] | null {
  if (Deno.build.os !== "linux" || !hasEveryPermission()) return null;
  let bytes: Uint8Array;
  try {
    bytes = Deno.readFileSync("/proc/self/cmdline");
  } catch {
    return null; // There is no /proc.
  }
  const words: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(0, at);
    words.push(bytes.subarray(at, end < 0 ? bytes.length : end));
    at = end < 0 ? bytes.length : end + 1;
  }
  return words.length < count ? null : words.slice(words.length - count);
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** Text with invalid bytes as `\xe9`. */
function escapeBytes(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    let length = 1;
    while (length < 4 && !isUtf8(bytes.subarray(at, at + length))) length++;
    const piece = bytes.subarray(at, at + length);
    if (isUtf8(piece)) {
      text += new TextDecoder("utf-8", { ignoreBOM: true }).decode(piece);
      at += piece.length;
    } else text += `\\x${(bytes[at++] ?? 0).toString(16).padStart(2, "0")}`;
  }
  return text;
}

function shorten(text: string): string {
  const chars = [...text];
  return chars.length <= SHOWN ? text : `${chars.slice(0, SHOWN).join("")}…`;
}

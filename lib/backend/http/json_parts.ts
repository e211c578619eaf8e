/**
 * Splits a JSON response into parts as text, so that the messages in it can be encoded from their
 * original text at any nesting depth.
 *
 * @module
 */

import { JsonScanner } from "../../text/json_scanner.ts";

/** The text is not valid JSON. */
export class NoJson extends Error {
  /** Creates the error. */
  constructor() {
    super("no JSON");
    this.name = "NoJson";
  }
}

const scanner = new JsonScanner();

function space(text: Uint8Array, at: number): number {
  for (let i = at;; i++) {
    const c = text[i];
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return i;
  }
}

/** The index just after the value at `at`. */
function endOf(text: Uint8Array, at: number): number {
  const c = text[at];
  if (c === 0x7b || c === 0x5b || c === 0x22) {
    scanner.reset();
    const end = scanner.scan(text, at, text.length, true);
    if (scanner.bad || !scanner.between) throw new NoJson();
    return end;
  }
  let end = at;
  for (; end < text.length; end++) {
    const b = text[end] ?? 0;
    if (b === 0x2c || b === 0x7d || b === 0x5d || b <= 0x20) break;
  }
  if (end === at) throw new NoJson();
  return end;
}

/** The separator at `at`: true for a comma, false for the end of the container. */
function more(text: Uint8Array, at: number, close: number): boolean {
  if (text[at] === 0x2c) return true;
  if (text[at] === close) return false;
  throw new NoJson();
}

/**
 * The members of the JSON object in `text`.
 *
 * @throws {NoJson}
 */
export function membersOf(text: Uint8Array): Map<string, Uint8Array> {
  const members = new Map<string, Uint8Array>();
  let at = space(text, 0);
  if (text[at] !== 0x7b) throw new NoJson();
  at = space(text, at + 1);
  if (text[at] === 0x7d) return members;
  for (;;) {
    if (text[at] !== 0x22) throw new NoJson();
    const keyEnd = endOf(text, at);
    const key = new TextDecoder().decode(text.subarray(at + 1, keyEnd - 1));
    at = space(text, keyEnd);
    if (text[at] !== 0x3a) throw new NoJson();
    at = space(text, at + 1);
    const end = endOf(text, at);
    members.set(key, text.subarray(at, end));
    at = space(text, end);
    if (!more(text, at, 0x7d)) return members;
    at = space(text, at + 1);
  }
}

/**
 * The elements of the JSON array in `text`.
 *
 * @throws {NoJson}
 */
export function elementsOf(text: Uint8Array): Uint8Array[] {
  const elements: Uint8Array[] = [];
  let at = space(text, 0);
  if (text[at] !== 0x5b) throw new NoJson();
  at = space(text, at + 1);
  if (text[at] === 0x5d) return elements;
  for (;;) {
    const end = endOf(text, at);
    elements.push(text.subarray(at, end));
    at = space(text, end);
    if (!more(text, at, 0x5d)) return elements;
    at = space(text, at + 1);
  }
}

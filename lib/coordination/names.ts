/**
 * Names used in coordination: cursors and groups, keys and ids, and the tags that contain keys and
 * ids (docs/spec/coordination.md).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";

/** The longest key or id in bytes of UTF-8. */
const LONGEST = 256;
const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** The prefix of the tag of a key. */
export const KEY_TAG = "key:";
/** The prefix of the tag of an id. */
export const ID_TAG = "id:";

/**
 * Checks the name of a cursor or a group and returns it.
 *
 * @throws {PlasmiteError} Usage
 */
export function checkCursorName(name: string): string {
  if (NAME.test(name) && !name.endsWith(".tmp")) return name;
  throw new PlasmiteError("Usage", `Invalid cursor name ${JSON.stringify(name)}`, {
    hint: "Use 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit, and not " +
      "ending in .tmp.",
  });
}

/**
 * Checks a key or id and returns it.
 *
 * @param what `key`, `id` or `holder`, for the message
 * @throws {PlasmiteError} Usage
 */
export function checkKey(text: string, what: string, longest: number = LONGEST): string {
  const bytes = new TextEncoder().encode(text).length;
  if (bytes >= 1 && bytes <= longest && !hasControl(text) && text.isWellFormed()) return text;
  throw new PlasmiteError("Usage", `Invalid ${what} ${JSON.stringify(text)}`, {
    hint: `Use 1 to ${longest} bytes of UTF-8 without control characters.`,
  });
}

function hasControl(text: string): boolean {
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true;
  }
  return false;
}

/**
 * The tags of a message in stored order: the given tags, the key's tag, the id's tag; without
 * duplicates.
 */
export function tagsOf(
  tags: readonly string[],
  { key, id }: { readonly key?: string | undefined; readonly id?: string | undefined },
): readonly string[] {
  if (key === undefined && id === undefined) return tags;
  const all = [...tags];
  if (key !== undefined && !all.includes(KEY_TAG + key)) all.push(KEY_TAG + key);
  if (id !== undefined && !all.includes(ID_TAG + id)) all.push(ID_TAG + id);
  return all;
}

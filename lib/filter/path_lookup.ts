/**
 * Finds the value at a path in stored bytes.
 *
 * @module
 */

import type { Lite3Doc } from "../lite3/doc.ts";
import { Lite3Key, Tag } from "../lite3/layout.ts";
import type { MessageView } from "../lite3/message.ts";
import type { Path } from "./path.ts";

/** Prepares a path; the function returns the offset of the value, negative if there is none. */
export function pathLookup(path: Path): (view: MessageView) => number {
  const steps = path.map((step) => typeof step === "string" ? new Lite3Key(step) : step);
  return ({ doc, dataAt }) => {
    let at = dataAt;
    for (const step of steps) {
      at = typeof step === "number" ? element(doc, at, step) : member(doc, at, step);
      if (at < 0) return -1;
    }
    return at;
  };
}

/** Offset of a member; negative if there is none. */
function member(doc: Lite3Doc, at: number, key: Lite3Key): number {
  return doc.tag(at) === Tag.Object ? doc.lookup(at, key) : -1;
}

/** Offset of an element; negative if there is none. */
function element(doc: Lite3Doc, at: number, index: number): number {
  if (doc.tag(at) !== Tag.Array) return -1;
  const place = index < 0 ? index + doc.count(at) : index;
  return place < 0 ? -1 : doc.element(at, place);
}

/**
 * Checks whether externally encoded bytes may be appended as a message.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { corrupt, type Lite3Doc } from "./doc.ts";
import { NODE_SIZE, Tag } from "./layout.ts";
import { envelopeKeys } from "./message.ts";
import { printJson } from "./print.ts";

/**
 * Checks a whole document by the rules for raw appends (docs/spec/format.md 9), and that all of its
 * data is readable.
 *
 * @throws {PlasmiteError} Corrupt, with the problem as its message
 */
export function validateMessage(doc: Lite3Doc): void {
  const keys = envelopeKeys();
  if (doc.len < NODE_SIZE || doc.tag(0) !== Tag.Object) throw corrupt("root is not object");
  const meta = doc.lookup(0, keys.meta);
  if (meta < 0 || doc.tag(meta) !== Tag.Object) throw corrupt("meta is not object");
  const data = doc.lookup(0, keys.data);
  if (data < 0 || doc.tag(data) !== Tag.Object) throw corrupt("data is not object");
  const tags = doc.lookup(meta, keys.tags);
  if (tags < 0 || doc.tag(tags) !== Tag.Array) throw corrupt("meta.tags must be array");
  for (const tag of doc.entries(tags)) {
    if (doc.tag(tag) !== Tag.String) throw corrupt("meta.tags must be string array");
  }
  // Printing reads everything with all checks; 1.x refuses what cannot be printed.
  printJson(doc, 0, new Buf(Math.min(2 * doc.len, 1 << 16)));
}

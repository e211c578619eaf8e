/**
 * `latest_by`: what makes messages belong together, so that only the newest of each group is read.
 * The claims pattern needs it: the newest claim of every agent is the state of the world.
 *
 * @module
 */

import { Buf } from "../lib/bytes.ts";
import { PlasmiteError } from "../lib/errors.ts";
import type { Lite3Doc } from "../lib/lite3/doc.ts";
import { Lite3Key } from "../lib/lite3/key.ts";
import { Tag } from "../lib/lite3/layout.ts";
import type { MessageView } from "../lib/lite3/message.ts";
import { printJson } from "../lib/lite3/print.ts";
import { parsePath } from "./path.ts";

/** Sorts messages into groups. */
export interface Grouping {
  /** The groups a message belongs to; none if it has nothing to be grouped by. */
  keysOf(view: MessageView): string[];
}

/**
 * Reads a `latest_by`: the beginning of a tag (`agent:`; empty for every tag), or a path into the
 * data (`.data.agent`, `.data.files[0]`).
 *
 * @throws {PlasmiteError} Usage
 */
export function grouping(by: string): Grouping {
  if (!by.startsWith(".")) {
    return { keysOf: (view) => [...new Set(view.tags().filter((tag) => tag.startsWith(by)))] };
  }
  const path = parsePath(by);
  if (path.length === 0) {
    throw new PlasmiteError("Usage", `invalid path ${JSON.stringify(by)}`, {
      hint: "Use the beginning of a tag, such as agent:, or a path such as .data.agent.",
    });
  }
  const steps = path.map((step) => typeof step === "string" ? new Lite3Key(step) : step);
  const out = new Buf(256);
  return {
    keysOf: ({ doc, dataAt }) => {
      let at = dataAt;
      for (const step of steps) {
        at = typeof step === "number" ? element(doc, at, step) : member(doc, at, step);
        if (at < 0) return [];
      }
      const kind = doc.tag(at);
      if (kind === Tag.Null) return [];
      if (kind === Tag.String) return [doc.string(at)];
      out.clear();
      printJson(doc, at, out);
      return [new TextDecoder().decode(out.bytes())];
    },
  };
}

/** Offset of a member, negative where there is none. */
function member(doc: Lite3Doc, at: number, key: Lite3Key): number {
  return doc.tag(at) === Tag.Object ? doc.lookup(at, key) : -1;
}

/** Offset of an element, negative where there is none. */
function element(doc: Lite3Doc, at: number, index: number): number {
  if (doc.tag(at) !== Tag.Array) return -1;
  const place = index < 0 ? index + doc.count(at) : index;
  return place < 0 ? -1 : doc.element(at, place);
}

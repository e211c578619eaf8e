/**
 * `latest_by`: what makes messages belong together, so that only the newest of each group is read.
 * The claims pattern needs it: the newest claim of every agent is the state of the world.
 *
 * @module
 */

import { Buf } from "../lib/bytes.ts";
import { PlasmiteError } from "../lib/errors.ts";
import { Lite3Key } from "../lib/lite3/key.ts";
import { Tag } from "../lib/lite3/layout.ts";
import type { MessageView } from "../lib/lite3/message.ts";
import { printJson } from "../lib/lite3/print.ts";

/** Sorts messages into groups. */
export interface Grouping {
  /** The groups a message belongs to; none if it has nothing to be grouped by. */
  keysOf(view: MessageView): string[];
}

const PATH = /^\.data(?:\.[A-Za-z_][A-Za-z0-9_]*)+$/;

/**
 * Reads a `latest_by`: the beginning of a tag (`agent:`; empty for every tag), or a path into the
 * data (`.data.agent`).
 *
 * @throws {PlasmiteError} Usage
 */
export function grouping(by: string): Grouping {
  if (!by.startsWith(".")) {
    return { keysOf: (view) => [...new Set(view.tags().filter((tag) => tag.startsWith(by)))] };
  }
  if (!PATH.test(by)) {
    throw new PlasmiteError("Usage", `invalid path ${JSON.stringify(by)}`, {
      hint: "Use the beginning of a tag, such as agent:, or a path such as .data.agent.",
    });
  }
  const keys = by.split(".").slice(2).map((name) => new Lite3Key(name));
  const out = new Buf(256);
  return {
    keysOf: ({ doc, dataAt }) => {
      let at = dataAt;
      for (const key of keys) {
        if (doc.tag(at) !== Tag.Object) return [];
        at = doc.lookup(at, key);
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

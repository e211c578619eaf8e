/**
 * A jq expression that yields a text for a record that is to be stored: the id of a message
 * (docs/spec/coordination.md 4).
 *
 * The rules are those of conditions, `where.ts`: a missing key is an error. Here every error is
 * reported, because a record without an id must not be stored as if it had one.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { PlasmiteError } from "../errors.ts";
import type { MessageView } from "../lite3/message.ts";
import { printJson } from "../lite3/print.ts";
import { printEnvelope } from "../text/envelope.ts";
import { Context, ROOT } from "./context.ts";
import { compileNative } from "./native.ts";
import { parse } from "./parser.ts";
import { describe, isNumber, type Value } from "./values.ts";
import { compileWhere } from "./where.ts";

/**
 * Evaluates the expression on a message.
 *
 * @param isStored whether it has a sequence number and a time; otherwise the expression sees none
 * @throws {PlasmiteError} Usage if it does not yield exactly one string or number
 */
export type TextOf = (message: MessageView, isStored: boolean) => string;

/**
 * Compiles an expression.
 *
 * @throws {PlasmiteError} Usage for an invalid one
 */
export async function compileTextOf(expression: string): Promise<TextOf> {
  await compileWhere(expression); // Reports what is invalid, with advice.
  const node = parse(expression);
  const context = new Context(Infinity);
  const part = compileNative(node, context);
  if (part === undefined) {
    const { JqText } = await import("./jq.ts");
    const jq = await JqText.compile(expression, node);
    return (message, isStored) => {
      const found = jq.evaluate(jsonOf(message, isStored));
      if ("text" in found) return found.text;
      throw noText(expression, found.problem);
    };
  }
  return (message, isStored) => {
    context.open(message);
    context.isUnstored = !isStored;
    const outputs: Value[] = [];
    const isFine = part.many(context.value(ROOT), outputs);
    const [value, ...others] = outputs;
    if (!isFine || value === undefined) {
      throw noText(expression, isFine ? "no value" : "an error, such as a missing key");
    }
    if (others.length > 0) throw noText(expression, `${outputs.length} values`);
    if (typeof value === "string") return value;
    if (isNumber(value)) return describe(value);
    throw noText(expression, describe(value));
  };
}

function noText(expression: string, what: string): PlasmiteError {
  return new PlasmiteError("Usage", "id expression must yield one string or number", {
    hint: `${JSON.stringify(expression)} yielded ${what}. ` +
      "Name a member that every record has, such as .data.event_id.",
    topic: "id",
  });
}

function jsonOf(message: MessageView, isStored: boolean): string {
  const out = new Buf(4096);
  if (isStored) {
    printEnvelope(message, out);
    return new TextDecoder().decode(out.bytes());
  }
  printJson(message.doc, message.dataAt, out);
  const data = new TextDecoder().decode(out.bytes());
  return `{"data":${data},"meta":{"tags":${JSON.stringify(message.tags())}}}`;
}

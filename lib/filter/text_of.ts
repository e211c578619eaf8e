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
import { Tag } from "../lite3/layout.ts";
import type { MessageView } from "../lite3/message.ts";
import { printJson } from "../lite3/print.ts";
import { printEnvelope } from "../text/envelope.ts";
import { formatTime } from "../text/time.ts";
import type { Node } from "./ast.ts";
import { Context, ROOT } from "./context.ts";
import { compileNative } from "./native.ts";
import { parse } from "./parser.ts";
import { pathLookup } from "./path_lookup.ts";
import { describe, isNumber, type Value } from "./values.ts";
import { compileWhere } from "./where.ts";

/**
 * Evaluates the expression on a message.
 *
 * @param isStored whether it has a sequence number and a time; otherwise the expression sees none
 * @throws {PlasmiteError} Usage if it does not yield exactly one string or number
 */
export type TextOf = (message: MessageView, isStored: boolean) => string;

/** What a part of an expression yields for a message: a text or a JSON value; null for an error. */
type PartOf = (
  message: MessageView,
  isStored: boolean,
) => { readonly text: string; readonly isText: boolean } | null;

/**
 * Compiles an expression.
 *
 * @throws {PlasmiteError} Usage for an invalid one
 */
export async function compileTextOf(expression: string): Promise<TextOf> {
  await compileWhere(expression); // Reports what is invalid, with advice.
  const node = parse(expression);
  const part = pathPart(node) ?? textPart(node);
  if (part !== undefined) {
    return (message, isStored) => {
      const found = part(message, isStored);
      if (found === null) throw noText(expression, FAILED);
      if (found.isText) return found.text;
      throw noText(expression, found.text);
    };
  }
  return compileValue(expression, node) ?? await compileJq(expression, node);
}

const FAILED = "an error, such as a missing key";

/** A string with interpolations that are paths; undefined for anything else. */
function textPart(node: Node): PartOf | undefined {
  if (node.t !== "str" || node.format !== undefined) return undefined;
  const parts: (string | PartOf)[] = [];
  for (const one of node.parts) {
    const part = typeof one === "string" ? one : pathPart(one) ?? textPart(one);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return (message, isStored) => {
    let text = "";
    for (const part of parts) {
      const found = typeof part === "string" ? { text: part } : part(message, isStored);
      if (found === null) return null;
      text += found.text;
    }
    return { text, isText: true };
  };
}

/** A path such as `.data.a[0]`, `.seq` or `.time`; undefined for anything else. */
function pathPart(node: Node): PartOf | undefined {
  const steps = stepsOf(node);
  const [root, ...rest] = steps ?? [];
  if (root === "seq" && rest.length === 0) {
    return ({ seq }, isStored) => isStored ? { text: String(seq), isText: true } : null;
  }
  if (root === "time" && rest.length === 0) {
    return ({ timestampNs }, isStored) =>
      isStored ? { text: formatTime(timestampNs), isText: true } : null;
  }
  if (root !== "data") return undefined;
  const find = pathLookup(rest);
  return (message) => {
    const at = find(message);
    if (at < 0) return null;
    const { doc } = message;
    const kind = doc.tag(at);
    if (kind === Tag.String) return { text: doc.string(at), isText: true };
    const out = new Buf(64);
    printJson(doc, at, out);
    const isText = kind === Tag.I64 || kind === Tag.F64;
    return { text: new TextDecoder().decode(out.bytes()), isText };
  };
}

/** The constant steps of a path from the input; undefined if it is no such path. */
function stepsOf(node: Node): (string | number)[] | undefined {
  if (node.t === "id") return [];
  if (node.t !== "index" || node.opt) return undefined;
  const before = stepsOf(node.term);
  const step = constant(node.key);
  return before === undefined || step === undefined ? undefined : [...before, step];
}

function constant(node: Node): string | number | undefined {
  if (node.t === "num") return /^\d{1,9}$/.test(node.text) ? Number(node.text) : undefined;
  if (node.t !== "str" || node.format !== undefined) return undefined;
  const [text = "", ...others] = node.parts;
  return others.length === 0 && typeof text === "string" ? text : undefined;
}

/** What runs on the values of the message; undefined if only jq can do it. */
function compileValue(expression: string, node: Node): TextOf | undefined {
  const context = new Context(Infinity);
  const part = compileNative(node, context);
  if (part === undefined) return undefined;
  return (message, isStored) => {
    context.open(message);
    context.isUnstored = !isStored;
    const outputs: Value[] = [];
    const isFine = part.many(context.value(ROOT), outputs);
    const [value, ...others] = outputs;
    if (!isFine || value === undefined) throw noText(expression, isFine ? "no value" : FAILED);
    if (others.length > 0) throw noText(expression, `${outputs.length} values`);
    if (typeof value === "string") return value;
    if (isNumber(value)) return describe(value);
    throw noText(expression, describe(value));
  };
}

async function compileJq(expression: string, node: Node): Promise<TextOf> {
  const { JqText } = await import("./jq.ts");
  const jq = await JqText.compile(expression, node);
  return (message, isStored) => {
    const found = jq.evaluate(jsonOf(message, isStored));
    if ("text" in found) return found.text;
    throw noText(expression, found.problem);
  };
}

function noText(expression: string, what: string): PlasmiteError {
  return new PlasmiteError("Usage", "id expression must yield one string or number", {
    hint: `${JSON.stringify(expression)} yielded ${short(what)}. ` +
      "Name a member that every record has, such as .data.event_id.",
    topic: "id",
  });
}

function short(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200).toWellFormed()}…` : text;
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

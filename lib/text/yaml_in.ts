/**
 * Converts a YAML document to JSON text, for the strict subset of YAML 1.2 that messages may use
 * (docs/spec/command-line.md 2.9).
 *
 * The library only parses; the type of a plain scalar is decided here from its text, so that 64-bit
 * integers stay exact, `1.0` stays a float, and `017` or `1_000` stay strings.
 *
 * @module
 */

import type * as Yaml from "yaml";
import type { Buf } from "../bytes.ts";

/** Why a document was refused. */
export interface YamlRefusal {
  /** The error message. */
  readonly message: string;
  /** The specific cause. */
  readonly cause: string;
}

/** Appends the document as compact JSON text to `out`, or returns why it cannot be a message. */
export type YamlToJson = (text: string, out: Buf) => YamlRefusal | undefined;

class Refused extends Error {}
class TagRefused extends Refused {}

const MAX_DEPTH = 128;
const INT = /^[-+]?(?:0|[1-9][0-9]*)$/;
const RADIX = /^([-+]?)(0x[0-9a-fA-F]+|0o[0-7]+|0b[01]+)$/;
const LEADING_ZERO = /^[-+]?0[0-9]+$/;
const FLOAT = /^([-+]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))([eE][-+]?[0-9]+)?$/;
const NOT_FINITE = /^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const STRING_TAG = "tag:yaml.org,2002:str";

/** Loads the YAML library. */
export async function loadYaml(): Promise<YamlToJson> {
  const yaml = await import("yaml");
  return (text, out) => {
    try {
      return convert(yaml, text, out);
    } catch (error) {
      if (error instanceof TagRefused) {
        return { message: "YAML tags are not supported", cause: error.message };
      }
      if (error instanceof Refused) return refusal(error.message);
      // The library does not limit its recursion.
      if (error instanceof RangeError) return refusal("nested too deeply");
      throw error;
    }
  };
}

function refusal(cause: string): YamlRefusal {
  return { message: "invalid or unsupported YAML message", cause };
}

function convert(yaml: typeof Yaml, text: string, out: Buf): YamlRefusal | undefined {
  const document = yaml.parseDocument(`---\n${text}`, {
    schema: "failsafe",
    version: "1.2",
    strict: true,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: "silent",
  });
  const problem = document.errors[0];
  if (problem !== undefined) return refusal(problem.message);
  const encoder = new TextEncoder();

  function put(json: string): void {
    out.reserve(json.length * 3);
    out.len += encoder.encodeInto(json, out.u8.subarray(out.len)).written;
  }

  function value(node: unknown, depth: number): void {
    if (depth > MAX_DEPTH) throw new Refused("nested more than 128 levels deep");
    if (node === null || node === undefined) return put("null");
    if (yaml.isAlias(node)) throw new Refused("aliases are not supported");
    if (yaml.isScalar(node)) {
      return put(jsonOf(node.value, isPlain(node)));
    }
    if (yaml.isMap(node)) {
      refuseTag(node.tag);
      const keys = new Set<string>();
      put("{");
      for (const pair of node.items) {
        if (keys.size > 0) put(",");
        const key = keyOf(yaml, pair.key);
        if (keys.has(key)) throw new Refused(`duplicate key ${JSON.stringify(key)}`);
        keys.add(key);
        put(`${JSON.stringify(key)}:`);
        value(pair.value, depth + 1);
      }
      return put("}");
    }
    if (yaml.isSeq(node)) {
      refuseTag(node.tag);
      put("[");
      node.items.forEach((item, i) => {
        if (i > 0) put(",");
        value(item, depth + 1);
      });
      return put("]");
    }
    throw new Refused("unknown kind of value");
  }

  value(document.contents, 1);
  return undefined;
}

function refuseTag(tag: string | undefined): void {
  if (tag !== undefined) throw new TagRefused(`tag ${tag}`);
}

/** Whether the scalar's text decides its type; `!!str` and quotes make it a string. */
function isPlain(node: Yaml.Scalar): boolean {
  if (node.tag === STRING_TAG) return false;
  refuseTag(node.tag);
  return node.type === undefined || node.type === "PLAIN";
}

function keyOf(yaml: typeof Yaml, node: unknown): string {
  if (yaml.isAlias(node)) throw new Refused("aliases are not supported");
  if (!yaml.isScalar(node)) throw new Refused("keys must be strings");
  const text = String(node.value ?? "");
  if (isPlain(node)) {
    if (text === "<<") throw new Refused("merge keys are not supported");
    if (!jsonOf(text, true).startsWith('"')) throw new Refused(`key ${text} is not a string`);
  }
  return text;
}

/** A scalar as JSON text. */
function jsonOf(source: unknown, plain: boolean): string {
  const text = String(source ?? "");
  if (!plain) return JSON.stringify(text);
  switch (text) {
    case "":
    case "~":
    case "null":
    case "Null":
    case "NULL":
      return "null";
    case "true":
    case "True":
    case "TRUE":
      return "true";
    case "false":
    case "False":
    case "FALSE":
      return "false";
  }
  if (INT.test(text)) return integer(BigInt(text.replace(/^\+/, "")));
  const radix = RADIX.exec(text);
  if (radix !== null) {
    const n = BigInt(radix[2] ?? "");
    return integer(radix[1] === "-" ? -n : n);
  }
  if (LEADING_ZERO.test(text)) return JSON.stringify(text);
  const float = FLOAT.exec(text);
  if (float !== null) {
    if (!Number.isFinite(Number(text))) throw new Refused(`${text} is too large`);
    const [, sign, whole, fraction, bare, exponent] = float;
    const digits = (whole ?? "0").replace(/^0+(?=[0-9])/, "");
    return `${sign === "-" ? "-" : ""}${digits}.${fraction || bare || "0"}${exponent ?? ""}`;
  }
  if (NOT_FINITE.test(text)) throw new Refused(`${text} is not supported`);
  return JSON.stringify(text);
}

/** Integers up to unsigned 64 bits; the encoder stores those beyond signed ones as doubles. */
function integer(n: bigint): string {
  if (n > 0xffff_ffff_ffff_ffffn || n < -0x8000_0000_0000_0000n) {
    throw new Refused(`${n} does not fit 64 bits`);
  }
  return n.toString();
}

/**
 * Evaluates literals of a filter.
 *
 * @module
 */

import type { Node } from "./ast.ts";
import type { Value } from "./values.ts";

/** The value of a literal; undefined if `node` is not a literal or has no exact value. */
export function literal(node: Node): Value | undefined {
  switch (node.t) {
    case "num":
      return numberLiteral(node.text);
    case "neg": {
      const v = literal(node.body);
      return typeof v === "number" || typeof v === "bigint" ? -v : undefined;
    }
    case "str": {
      const [part = "", ...more] = node.parts;
      return typeof part === "string" && more.length === 0 ? part : undefined;
    }
    case "call":
      if (node.args.length > 0) return undefined;
      return node.name === "null"
        ? null
        : node.name === "true"
        ? true
        : node.name === "false"
        ? false
        : undefined;
  }
  return undefined;
}

/** Integers of any size are exact; other numbers only if the double reads back as the same text. */
function numberLiteral(text: string): Value | undefined {
  if (/^\d{1,400}$/.test(text)) {
    const n = BigInt(text);
    return n <= 9007199254740992n ? Number(n) : n;
  }
  const d = Number(text);
  return Number.isFinite(d) && digits(text) === digits(d.toExponential()) ? d : undefined;
}

/**
 * A decimal number in canonical form: digits without leading and trailing zeros, and the exponent.
 */
function digits(text: string): string {
  const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  const all = (whole + fraction).replace(/^0+/, "");
  const significant = all.replace(/0+$/, "");
  const shift = Number(exponent) - fraction.length + all.length - significant.length;
  return significant === "" ? "0" : `${significant}e${shift}`;
}

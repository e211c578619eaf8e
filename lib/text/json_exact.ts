/**
 * Parses and prints JSON with exact integers; for this program's own documents, not for messages.
 *
 * @module
 */

/** Names that JSON prints as they are. */
const PLAIN = /^\w*$/;

/** Parses JSON text; integers outside the safe range become bigints. */
export function parseJsonExact(text: string): unknown {
  const exact = (_key: string, value: unknown, context?: { readonly source?: string }): unknown => {
    const source = context?.source;
    if (typeof value !== "number" || source === undefined || Number.isSafeInteger(value)) {
      return value;
    }
    return /^-?\d+$/.test(source) ? BigInt(source) : value;
  };
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown);
}

/** A value as JSON text: bigint as integer, undefined members dropped, {@linkcode Json} as its text. */
export function jsonText(value: unknown): string {
  if (typeof value === "bigint") return value.toString();
  if (value === null || typeof value !== "object") return JSON.stringify(value ?? null);
  if (value instanceof Json) return value.text;
  if (Array.isArray(value)) return `[${value.map(jsonText).join(",")}]`;
  return membersText(value as Readonly<Record<string, unknown>>);
}

/** An object as JSON text. Lists of pools are made of twenty thousand: it makes no arrays for them. */
function membersText(object: Readonly<Record<string, unknown>>): string {
  let text = "";
  for (const name of Object.keys(object)) {
    const item = object[name];
    if (item === undefined) continue;
    text += text === "" ? "{" : ",";
    text += PLAIN.test(name) ? `"${name}":` : `${JSON.stringify(name)}:`;
    text += jsonText(item);
  }
  return text === "" ? "{}" : `${text}}`;
}

/** Finished JSON text inside a value for {@linkcode jsonText}. */
export class Json {
  /** The text. */
  readonly text: string;

  /** Takes the text as it is. */
  constructor(text: string) {
    this.text = text;
  }
}

/** A number that is printed with a fraction even when it is whole: `0.0`. */
export function float(value: number): Json {
  return new Json(Number.isInteger(value) ? value.toFixed(1) : String(value));
}

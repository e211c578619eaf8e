/**
 * Reads the members of a JSON object as texts; the object may be cut off anywhere.
 *
 * @module
 */

/** One member. */
export interface Field {
  /** Its name; empty for elements of an array and for values other than objects. */
  readonly key: string;
  /** Its value as JSON, possibly cut off. */
  readonly json: string;
  /** Whether the value is a string. */
  readonly isText: boolean;
  /** The text of a string; for other values the JSON. */
  readonly text: string;
}

const TOKEN = /"(?:[^"\\]|\\.)*"?|[{}[\],:]|[^"{}[\],:]+/gs;

/** The text of a string token, which may be cut off. */
function unquoted(token: string): string {
  const whole = /[^\\](?:\\\\)*"$|^""$/.test(token)
    ? token
    : `${token.replace(/\\(?:u[0-9a-fA-F]{0,3})?$/, "")}"`;
  try {
    const value: unknown = JSON.parse(whole);
    return typeof value === "string" ? value : token;
  } catch {
    return token;
  }
}

function field(key: string, tokens: readonly string[]): Field {
  const json = tokens.join("");
  const isText = tokens.length === 1 && json.startsWith('"');
  return { key, json, isText, text: isText ? unquoted(json) : json };
}

/** The members of compact JSON text, in order. */
export function fieldsOf(json: string): Field[] {
  if (!json.startsWith("{")) return [field("", [json])];
  const fields: Field[] = [];
  let depth = 0;
  let key: string | null = null;
  let value: string[] = [];
  const finish = (): void => {
    if (key !== null) fields.push(field(key, value));
    key = null;
    value = [];
  };
  for (const [token] of json.slice(1).matchAll(TOKEN)) {
    if (depth === 0 && (token === "," || token === "}")) finish();
    else if (key === null) key = unquoted(token);
    else if (depth === 0 && token === ":" && value.length === 0) continue;
    else {
      if (token === "{" || token === "[") depth++;
      else if (token === "}" || token === "]") depth--;
      value.push(token);
    }
  }
  finish();
  return fields;
}

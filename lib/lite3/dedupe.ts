/**
 * Removes duplicate keys from JSON text: each key is kept once, with its last value in the position
 * of the first (docs/spec/format.md 7.5: resolve duplicates before encoding).
 *
 * @module
 */

/** A value as a span of the text, or as its parts. */
type Part =
  | { readonly start: number; readonly end: number }
  | { readonly members: Map<string, { key: string; value: Part }> }
  | { readonly elements: Part[] };

/** Returns the text of the JSON value at `start` without duplicate keys; it must be valid JSON. */
export function withoutDuplicateKeys(
  text: Uint8Array,
  start: number,
  end: number,
): Uint8Array<ArrayBuffer> {
  // The text was validated before, so decoding it to UTF-16 replaces nothing.
  const source = new TextDecoder("utf-8", { ignoreBOM: true }).decode(text.subarray(start, end));
  let pos = 0;

  function skip(): string {
    while (" \n\r\t".includes(source.charAt(pos))) pos++;
    return source.charAt(pos);
  }

  function scalar(): { start: number; end: number } {
    const from = pos;
    if (source.charAt(pos) === '"') {
      for (pos++; source.charAt(pos) !== '"'; pos++) if (source.charAt(pos) === "\\") pos++;
      pos++;
    } else {
      while (pos < source.length && !",]} \n\r\t".includes(source.charAt(pos))) pos++;
    }
    return { start: from, end: pos };
  }

  function value(): Part {
    const first = skip();
    if (first === "{") {
      const members = new Map<string, { key: string; value: Part }>();
      pos++;
      while (skip() !== "}") {
        const span = scalar();
        const key = source.slice(span.start, span.end);
        skip();
        pos++; // the colon
        members.set(JSON.parse(key) as string, { key, value: value() });
        if (skip() === ",") pos++;
      }
      pos++;
      return { members };
    }
    if (first === "[") {
      const elements: Part[] = [];
      pos++;
      while (skip() !== "]") {
        elements.push(value());
        if (skip() === ",") pos++;
      }
      pos++;
      return { elements };
    }
    return scalar();
  }

  function print(part: Part): string {
    if ("members" in part) {
      return `{${[...part.members.values()].map((m) => `${m.key}:${print(m.value)}`).join(",")}}`;
    }
    if ("elements" in part) return `[${part.elements.map(print).join(",")}]`;
    return source.slice(part.start, part.end);
  }

  return new TextEncoder().encode(print(value()));
}

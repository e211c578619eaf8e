/**
 * Parses JSON with exact integers; for this program's own documents, not for messages.
 *
 * @module
 */

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

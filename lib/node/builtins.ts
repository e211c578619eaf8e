/**
 * Standard methods that older versions of Node lack: hexadecimal and base64 of `Uint8Array`
 * (ECMAScript 2026; Node 25), `Promise.withResolvers` (ECMAScript 2024; Node 22), `URL.parse` (WHATWG; Node 22). Defined like the built-in ones, and
 * only if they are missing.
 *
 * @module
 */

/** Options of the base64 methods. */
interface Base64Options {
  readonly alphabet?: "base64" | "base64url";
  readonly omitPadding?: boolean;
}

function fromHex(text: string): Uint8Array {
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(text)) throw new SyntaxError("Invalid hexadecimal text");
  return new Uint8Array(Buffer.from(text, "hex"));
}

function fromBase64(text: string): Uint8Array {
  const plain = text.replace(/[\t\n\f\r ]+/g, "");
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(plain)) throw new SyntaxError("Invalid base64 text");
  return new Uint8Array(Buffer.from(plain, "base64"));
}

function toHex(this: Uint8Array): string {
  return Buffer.from(this.buffer, this.byteOffset, this.length).toString("hex");
}

function toBase64(this: Uint8Array, options: Base64Options = {}): string {
  const bytes = Buffer.from(this.buffer, this.byteOffset, this.length);
  const text = bytes.toString("base64");
  const chosen = options.alphabet === "base64url"
    ? text.replaceAll("+", "-").replaceAll("/", "_")
    : text;
  return options.omitPadding === true ? chosen.replace(/=+$/, "") : chosen;
}

function parse(url: string, base?: string | URL): URL | null {
  return URL.canParse(url, base) ? new URL(url, base) : null;
}

function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve: PromiseWithResolvers<T>["resolve"] = () => {};
  let reject: PromiseWithResolvers<T>["reject"] = () => {};
  const promise = new Promise<T>((...both) => [resolve, reject] = both);
  return { promise, resolve, reject };
}

/** Defines the methods that are missing. */
export function completeBuiltins(): void {
  const define = (target: object, methods: Readonly<Record<string, unknown>>): void => {
    for (const [name, value] of Object.entries(methods)) {
      if (name in target) continue;
      Object.defineProperty(target, name, { value, writable: true, configurable: true });
    }
  };
  define(URL, { parse });
  define(Promise, { withResolvers });
  define(Uint8Array, { fromHex, fromBase64 });
  define(Uint8Array.prototype, { toHex, toBase64 });
}

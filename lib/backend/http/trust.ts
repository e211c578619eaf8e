/**
 * Reads the certificates of `caFile` (docs/spec/command-line.md 9).
 *
 * @module
 */

import { PlasmiteError } from "../../errors.ts";

const WHAT = "TLS CA/certificate file";
const BLOCK = /-----BEGIN CERTIFICATE-----([\s\S]*?)-----END CERTIFICATE-----/g;

function usage(message: string, path: string | undefined, cause?: unknown): PlasmiteError {
  return new PlasmiteError("Usage", message, {
    path,
    hint: "Give a PEM file with the server's certificate, or that of the authority that issued it.",
    ...(cause instanceof Error ? { causes: [cause.message], cause } : {}),
  });
}

/** Whether the bytes look like exactly one DER sequence. */
function isDer(bytes: Uint8Array): boolean {
  const [tag, first = 0] = bytes;
  if (tag !== 0x30) return false;
  if (first < 0x80) return bytes.length === first + 2;
  const size = first & 0x7f;
  let length = 0;
  for (const byte of bytes.subarray(2, 2 + size)) length = length * 256 + byte;
  return size <= 4 && bytes.length === 2 + size + length;
}

/**
 * The certificates of a PEM text.
 *
 * @param path the file that the text came from, for errors
 * @throws {PlasmiteError} Usage if it has no certificate, or none that can be parsed
 */
export function certificatesOf(pem: string, path?: string): string[] {
  const blocks = [...pem.matchAll(BLOCK)];
  if (blocks.length === 0) {
    throw pem.includes("-----BEGIN CERTIFICATE-----")
      ? usage(`failed to parse ${WHAT}`, path)
      : usage(`${WHAT} contains no certificates`, path);
  }
  const good = blocks.filter(([, body = ""]) => {
    try {
      return isDer(Uint8Array.fromBase64(body.replace(/\s+/g, "")));
    } catch {
      return false;
    }
  });
  if (good.length === 0) throw usage(`${WHAT} contains no parsable certificates`, path);
  return good.map(([block]) => `${block}\n`);
}

/**
 * The certificates in the file at `path`.
 *
 * @throws {PlasmiteError} Usage, with `path`
 */
export function readCertificates(path: string): string[] {
  let pem: string;
  try {
    pem = new TextDecoder("utf-8", { fatal: true }).decode(Deno.readFileSync(path));
  } catch (error) {
    if (error instanceof TypeError) throw usage(`failed to parse ${WHAT}`, path, error);
    throw usage(`failed to read ${WHAT}`, path, error);
  }
  return certificatesOf(pem, path);
}

/**
 * Access keys: `pk1.<spki>.<secret>` and values derived from them (docs/spec/sharing.md 1.1).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { sha256Hex } from "../storage/sha256.ts";

/** The parts of an access key, each as 64 lower-case hex digits. */
export interface AccessKey {
  /** SHA-256 of the SubjectPublicKeyInfo of the certificate that clients see. */
  readonly spki: string;
  /** The secret: the bearer value. Never printed, never logged. */
  readonly secret: string;
}

const PREFIX = "pk1";
const SECRET_BYTES = 32;

/** Whether a text is 64 lower-case hex digits: a digest, a secret, a key id. */
export function isHex64(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/** 32 random bytes as 64 hex digits. */
export function newSecret(): string {
  return crypto.getRandomValues(new Uint8Array(SECRET_BYTES)).toHex();
}

/** Formats a key as text for a person to copy. */
export function formatAccessKey({ spki, secret }: AccessKey): string {
  return `${PREFIX}.${spki}.${secret}`;
}

/**
 * Parses a key. The text must be exactly a key; callers must trim user input. The error does not
 * include the text.
 *
 * @throws {PlasmiteError} Usage if it is malformed
 */
export function parseAccessKey(text: string): AccessKey {
  const [prefix, spki = "", secret = "", ...more] = text.split(".");
  if (prefix === PREFIX && isHex64(spki) && isHex64(secret) && more.length === 0) {
    return { spki, secret };
  }
  throw new PlasmiteError("Usage", "malformed access key", {
    hint: "A key is one line: pk1, a dot, 64 hex digits, a dot, 64 hex digits. Paste all of it.",
  });
}

/**
 * What a server stores for a secret: SHA-256 of its 32 bytes.
 *
 * @param secret 64 hex digits, in either case
 */
export function verifierOf(secret: string): string {
  return sha256Hex(Uint8Array.fromHex(secret));
}

/** The id of a key, for display and revocation: SHA-256 of the 64 characters of its verifier. */
export function keyIdOf(verifier: string): string {
  return textHash(verifier);
}

/** What a server stores for a browser session or an OAuth token: SHA-256 of its text. */
export function textHash(token: string): string {
  return sha256Hex(new TextEncoder().encode(token));
}

/** Constant-time comparison; the timing reveals only the length of `given`. */
export function equalSecrets(given: string, secret: string): boolean {
  let difference = given.length ^ secret.length;
  for (let i = 0; i < given.length; i++) {
    difference |= given.charCodeAt(i) ^ secret.charCodeAt(i % Math.max(1, secret.length));
  }
  return difference === 0;
}

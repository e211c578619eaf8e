/**
 * What the operator of a server may not expect, from its configuration.
 *
 * @module
 */

import type { ServeConfig } from "./config.ts";
import { quote } from "./quote.ts";

/** Warn if a certificate expires within this time, in milliseconds. */
const SOON = 30 * 86_400_000;

/** Warnings about the validity period of a certificate. */
export function validity(
  { notAfter, notBefore }: { readonly notAfter: Date; readonly notBefore: Date },
  now: Date = new Date(),
): string[] {
  const day = (date: Date): string => date.toISOString().slice(0, 10);
  if (notAfter <= now) {
    return [
      `The certificate expired on ${day(notAfter)}: clients that check it refuse to connect.`,
    ];
  }
  if (notBefore > now) return [`The certificate is valid only from ${day(notBefore)}.`];
  const soon = notAfter.getTime() - now.getTime() < SOON;
  return soon ? [`The certificate expires on ${day(notAfter)}.`] : [];
}

/** Whether all users of this machine can read a file. */
function isOpenToAll(path: string): boolean {
  try {
    return Deno.build.os !== "windows" && ((Deno.statSync(path).mode ?? 0) & 0o004) !== 0;
  } catch {
    return false; // It could be read a moment ago, so this is not the problem.
  }
}

/** Warnings about what others could do. */
export function exposure(config: ServeConfig): string[] {
  const { token, tls, loopback } = config;
  const warnings: string[] = [];
  const secrets: [string, string | null][] = [
    ["token file", token?.path ?? null],
    ["TLS key", tls?.kind === "files" ? tls.keyPath : null],
  ];
  for (const [what, path] of secrets) {
    if (path === null || !isOpenToAll(path)) continue;
    warnings.push(
      `Every user of this machine can read the ${what} ${path}: chmod 600 ${quote(path)}`,
    );
  }
  if (loopback) return warnings;
  if (token === null) warnings.push("Anyone who reaches this address can read all pools.");
  if (tls === null) {
    const what = token === null ? "Messages travel" : "Messages and the token travel";
    warnings.push(`${what} unencrypted: there is no TLS.`);
  }
  return warnings;
}

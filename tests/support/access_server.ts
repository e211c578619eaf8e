/**
 * A server that takes an access key, written from docs/spec/sharing.md alone, and certificates of
 * all kinds for it.
 *
 * @module
 */

import "./environment.ts";
import { createHash, X509Certificate } from "node:crypto";

/** A certificate with its key. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
  /** SHA-256 of the public key's SubjectPublicKeyInfo, as OpenSSL computes it. */
  readonly spki: string;
}

/** What a certificate says. */
export interface PairOptions {
  readonly names?: readonly string[];
  readonly addresses?: readonly string[];
  /** The common name, which must not count. */
  readonly commonName?: string;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Have a certificate authority of its own issue it. */
  readonly issued?: boolean;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const HOUR = 3_600_000;

async function newKeys(): Promise<CryptoKeyPair> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  return keys as CryptoKeyPair;
}

/** Makes a certificate; by default for `localhost` and 127.0.0.1, valid now. */
export async function makePair(options: PairOptions = {}): Promise<Pair> {
  // deno-lint-ignore no-import-prefix -- needed by the next import, used nowhere else
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const { names = ["localhost"], addresses = ["127.0.0.1"], commonName = "plasmite" } = options;
  const keys = await newKeys();
  const signer = options.issued ? await newKeys() : keys;
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: crypto.getRandomValues(new Uint8Array(8)).toHex(),
    subject: `CN=${commonName}`,
    issuer: options.issued ? "CN=authority" : `CN=${commonName}`,
    notBefore: options.notBefore ?? new Date(Date.now() - HOUR),
    notAfter: options.notAfter ?? new Date(Date.now() + HOUR),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: signer.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.SubjectAlternativeNameExtension([
        ...names.map((value) => ({ type: "dns" as const, value })),
        ...addresses.map((value) => ({ type: "ip" as const, value })),
      ]),
    ],
  });
  const cert = `${made.toString("pem").trim()}\n`;
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  const lines = pkcs8.toBase64().match(/.{1,64}/g) ?? [];
  const key = `-----BEGIN PRIVATE KEY-----\n${lines.join("\n")}\n-----END PRIVATE KEY-----\n`;
  const spki = new X509Certificate(cert).publicKey.export({ type: "spki", format: "der" });
  return { cert, key, spki: createHash("sha256").update(spki).digest("hex") };
}

/** A running stand-in. */
export interface StandIn extends AsyncDisposable {
  readonly port: number;
  /** What it was asked: method, path and bearer value. */
  readonly requests: string[];
  /** The secrets that it takes. */
  readonly secrets: Set<string>;
}

/** Answers to requests with a good secret, by path. */
export type Answers = (path: string, request: Request) => Response | undefined;

/** Starts one. Every request needs a secret; `access/check` is answered unless `answers` does. */
export function standIn(
  pair: Pair,
  secrets: readonly string[],
  answers: Answers = () => undefined,
): StandIn {
  const known = new Set(secrets);
  const requests: string[] = [];
  const refuse = (status: number, kind: string, message: string): Response =>
    Response.json({ error: { kind, message } }, { status });
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    cert: pair.cert,
    key: pair.key,
    onListen: () => {},
  }, (request) => {
    const { pathname } = new URL(request.url);
    const authorization = request.headers.get("authorization");
    requests.push(`${request.method} ${pathname} ${authorization}`);
    if (authorization === null) return refuse(401, "Permission", "missing access key");
    const isKnown = authorization.startsWith("Bearer ") && known.has(authorization.slice(7));
    if (!isKnown) return refuse(401, "Permission", "invalid access key");
    const answer = answers(pathname, request);
    if (answer !== undefined) return answer;
    if (pathname === "/v0/access/check") return Response.json({ accepted: true });
    if (pathname === "/v0/pools") return Response.json({ pools: [] });
    return refuse(404, "NotFound", "not found");
  });
  return {
    port: server.addr.port,
    requests,
    secrets: known,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

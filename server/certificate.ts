/**
 * Makes certificates and reads PEM files. The library that signs is loaded only to make one.
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../lib/errors.ts";
import { machineHost, machineInterfaces } from "./machine.ts";

/** A certificate with its key. */
export interface Certificate {
  /** The certificate (chain) in PEM. */
  readonly cert: string;
  /** The private key, PKCS#8 in PEM. */
  readonly key: string;
  /** `SHA256:AA:BB:…` of the first certificate. */
  readonly fingerprint: string;
}

/** How long our certificates are valid, in days: the longest time that Apple's clients accept. */
const VALID_DAYS = 825;
const DAY = 86_400_000;

/** The DER bytes of the blocks of one kind in a PEM text. */
function blocks(pem: string, kind: RegExp): Uint8Array<ArrayBuffer>[] {
  const found: Uint8Array<ArrayBuffer>[] = [];
  for (const match of pem.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----/g)) {
    const [, label = "", body = ""] = match;
    if (!kind.test(label)) continue;
    found.push(Uint8Array.fromBase64(body.replace(/\s+/g, "")));
  }
  return found;
}

/** The SHA-256 of bytes. */
async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/**
 * The fingerprint of the first certificate of a PEM text, as browsers and OpenSSL show it.
 *
 * @throws {PlasmiteError} Io when it cannot be parsed, Usage when there is none
 */
export async function fingerprintOf(pem: string, path: string): Promise<string> {
  let ders: Uint8Array<ArrayBuffer>[];
  try {
    ders = blocks(pem, /^(?:X509 |TRUSTED )?CERTIFICATE$/);
  } catch (cause) {
    throw new PlasmiteError("Io", "failed to parse TLS certificate", {
      path,
      hint: "Give a certificate in PEM form.",
      cause,
    });
  }
  const [first] = ders;
  if (first === undefined) {
    throw new PlasmiteError("Usage", "TLS certificate file contains no certificates", {
      path,
      hint: "Give a certificate in PEM form, or make one with `plasmite serve init`.",
    });
  }
  const pairs = [...await digest(first)].map((byte) => byte.toString(16).padStart(2, "0"));
  return `SHA256:${pairs.join(":").toUpperCase()}`;
}

/** Whether a PEM text holds a private key. */
export function hasPrivateKey(pem: string): boolean {
  return /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/.test(pem);
}

/** Facts about a certificate. */
export interface CertificateFacts {
  /** The end of its validity. */
  readonly notAfter: Date;
  /** The start of its validity. */
  readonly notBefore: Date;
  /** SHA-256 of the public key's SubjectPublicKeyInfo, lower-case hex: part of access keys. */
  readonly spki: string;
}

/**
 * Loads a certificate and a key and checks that they belong together.
 *
 * @throws {PlasmiteError} Usage `invalid TLS certificate or key`
 */
export async function inspectPair(
  certPem: string,
  keyPem: string | null,
  path: string,
): Promise<CertificateFacts> {
  const { createHash, createPrivateKey, X509Certificate } = await import("node:crypto");
  try {
    const certificate = new X509Certificate(certPem);
    const { publicKey } = certificate;
    if (keyPem !== null && !certificate.checkPrivateKey(createPrivateKey(keyPem))) {
      throw new Error("The key is not that of the certificate.");
    }
    const spki = publicKey.export({ type: "spki", format: "der" });
    return {
      notBefore: new Date(certificate.validFrom),
      notAfter: new Date(certificate.validTo),
      spki: createHash("sha256").update(spki).digest("hex"),
    };
  } catch (cause) {
    throw new PlasmiteError("Usage", "invalid TLS certificate or key", {
      path,
      hint: "Give a PEM certificate and the private key that belongs to it.",
      causes: [messageOf(cause)],
      cause,
    });
  }
}

/** Names and addresses of this machine; empty without permission to read them. */
export function machineNames(): { readonly names: string[]; readonly addresses: string[] } {
  const host = (machineHost() ?? "").toLowerCase();
  const names = /^[a-z0-9][a-z0-9.-]*$/.test(host)
    ? host.includes(".") ? [host] : [host, `${host}.local`]
    : [];
  const addresses = machineInterfaces()
    .map(({ address }) => address)
    .filter((address) => !/^(?:127\.|169\.254\.|::1$|fe80:)/i.test(address));
  return { names, addresses: [...new Set(addresses)] };
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** The content of a server certificate. */
interface Content {
  /** The key pair. */
  readonly keys: CryptoKeyPair;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly names: Iterable<string>;
  readonly addresses: Iterable<string>;
}

async function x509() {
  // deno-lint-ignore no-import-prefix -- needed by the next import, used nowhere else
  await import("reflect-metadata");
  return await import("@peculiar/x509");
}

function newSerial(): string {
  const serial = crypto.getRandomValues(new Uint8Array(16));
  serial[0] = (serial[0] ?? 0) & 0x7f | 0x40;
  return serial.toHex();
}

/** The subject, and the issuer of a self-signed certificate. */
const SUBJECT = "CN=plasmite";

/**
 * A server certificate (not a CA) in PEM; self-signed unless there is an issuer.
 *
 * @param issuer the name and the key of the issuer
 */
async function leaf(
  content: Content,
  issuer?: { readonly name: string; readonly key: CryptoKey },
): Promise<string> {
  const {
    BasicConstraintsExtension,
    ExtendedKeyUsage,
    ExtendedKeyUsageExtension,
    KeyUsageFlags,
    KeyUsagesExtension,
    SubjectAlternativeNameExtension,
    X509CertificateGenerator,
  } = await x509();
  const { keys, notBefore, notAfter, names, addresses } = content;
  const made = await X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: SUBJECT,
    issuer: issuer?.name ?? SUBJECT,
    notBefore,
    notAfter,
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: issuer?.key ?? keys.privateKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([
        ...[...names].map((value) => ({ type: "dns" as const, value })),
        ...[...addresses].map((value) => ({ type: "ip" as const, value })),
      ]),
    ],
  });
  return `${made.toString("pem").trim()}\n`;
}

/** The certificate of an authority that may sign only server certificates, in PEM. */
async function authority(
  name: string,
  { keys, notBefore, notAfter }: Pick<Content, "keys" | "notBefore" | "notAfter">,
): Promise<string> {
  const {
    BasicConstraintsExtension,
    KeyUsageFlags,
    KeyUsagesExtension,
    SubjectKeyIdentifierExtension,
    X509CertificateGenerator,
  } = await x509();
  const made = await X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name,
    notBefore,
    notAfter,
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return `${made.toString("pem").trim()}\n`;
}

async function newKeys(): Promise<CryptoKeyPair> {
  return await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]) as CryptoKeyPair;
}

async function privatePem({ privateKey }: CryptoKeyPair): Promise<string> {
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", privateKey);
  return pem("PRIVATE KEY", new Uint8Array(pkcs8));
}

/** The content of a certificate with an end: names of this machine, valid from yesterday on. */
function forThisMachine(keys: CryptoKeyPair, bindIp: string): Content {
  const machine = machineNames();
  const addresses = new Set(["127.0.0.1", "::1", ...machine.addresses]);
  if (bindIp !== "0.0.0.0" && bindIp !== "::") addresses.add(bindIp);
  const now = Date.now();
  return {
    keys,
    notBefore: new Date(now - DAY),
    notAfter: new Date(now + VALID_DAYS * DAY),
    names: new Set(["localhost", ...machine.names]),
    addresses,
  };
}

/**
 * Makes a self-signed certificate for a server: ECDSA P-256, not a CA, valid for this machine's
 * names and addresses (docs/spec/http-api.md 8).
 *
 * @param bindIp the address that the server listens on; wildcards are left out
 */
export async function makeCertificate(bindIp: string): Promise<Certificate> {
  const keys = await newKeys();
  const cert = await leaf(forThisMachine(keys, bindIp));
  return { cert, key: await privatePem(keys), fingerprint: await fingerprintOf(cert, "") };
}

/**
 * Makes a server certificate and the certificate of the authority that signed it, in this order.
 * Some clients accept only certificates signed by an authority. Its key is not kept, so that it
 * cannot sign anything else (docs/spec/command-line.md 8.3).
 */
export async function makeIssuedCertificate(bindIp: string): Promise<Certificate> {
  const content = forThisMachine(await newKeys(), bindIp);
  const issuer = await newKeys();
  const name = `CN=plasmite authority ${newSerial().slice(0, 8)}`;
  const above = await authority(name, { ...content, keys: issuer });
  const cert = await leaf(content, { name, key: issuer.privateKey });
  return {
    cert: cert + above,
    key: await privatePem(content.keys),
    fingerprint: await fingerprintOf(cert, ""),
  };
}

/** Valid as long as possible: clients pin the key, and an end date would only cut them off. */
const FIRST_DAY = new Date("1975-01-01T00:00:00Z");
const LAST_DAY = new Date("4096-01-01T00:00:00Z");

/**
 * Makes the certificate of a server that clients know by its key (docs/spec/sharing.md 2.2).
 *
 * @param host a further name or address that clients use, in addition to those of this machine
 * @param keyPem the existing key, if there is one
 * @param path the path of that key, for errors
 * @throws {PlasmiteError} Usage when the key cannot be used
 */
export async function makeLastingCertificate(
  host: string | null,
  keyPem: string | null,
  path = "",
): Promise<{ readonly cert: string; readonly key: string }> {
  const keys = keyPem === null ? await newKeys() : await importKeys(keyPem, path);
  const machine = machineNames();
  const names = new Set(["localhost"]);
  const addresses = new Set(["127.0.0.1", "::1"]);
  if (host !== null) {
    const bare = host.replace(/^\[(.*)\]$/, "$1");
    if (bare !== host || /^[0-9.]+$/.test(host)) addresses.add(bare);
    else names.add(host);
  }
  for (const name of machine.names) names.add(name);
  for (const address of machine.addresses) addresses.add(address);
  const cert = await leaf({
    keys,
    notBefore: FIRST_DAY,
    notAfter: LAST_DAY,
    names,
    addresses,
  });
  return { cert, key: keyPem ?? await privatePem(keys) };
}

async function importKeys(keyPem: string, path: string): Promise<CryptoKeyPair> {
  const { createPrivateKey, createPublicKey } = await import("node:crypto");
  try {
    const key = createPrivateKey(keyPem);
    const pkcs8 = Uint8Array.from(key.export({ type: "pkcs8", format: "der" }));
    const spki = Uint8Array.from(createPublicKey(keyPem).export({ type: "spki", format: "der" }));
    const { subtle } = crypto;
    return {
      privateKey: await subtle.importKey("pkcs8", pkcs8, ALGORITHM, true, ["sign"]),
      publicKey: await subtle.importKey("spki", spki, ALGORITHM, true, ["verify"]),
    };
  } catch (cause) {
    throw new PlasmiteError("Usage", "invalid TLS certificate or key", {
      path,
      hint: "A new certificate can be made only for an ECDSA key on the curve P-256.",
      causes: [messageOf(cause)],
      cause,
    });
  }
}

function pem(label: string, bytes: Uint8Array): string {
  const lines = bytes.toBase64().match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

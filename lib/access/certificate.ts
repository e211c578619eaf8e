/**
 * What a pinned connection needs from a certificate: its public key, names and dates
 * (docs/spec/sharing.md 1.6). Signatures and chains are not checked: the handshake proves the key.
 *
 * @module
 */

import { sha256Hex } from "../storage/sha256.ts";
import { DerError, DerReader, type Element, Tag } from "./der.ts";

/** The contents of a certificate. */
export interface CertificateFacts {
  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hex: the middle part of access keys. */
  readonly spki: string;
  /** Start of validity, in milliseconds since 1970. */
  readonly notBefore: number;
  /** End of validity, in milliseconds since 1970. */
  readonly notAfter: number;
  /** The DNS names among its subject alternative names, lower-case. */
  readonly dnsNames: readonly string[];
  /** The addresses among them: 4 or 16 bytes as lower-case hex. */
  readonly addresses: readonly string[];
}

/** Tags of a certificate's optional fields and of alternative name types. */
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;
/** 2.5.29.17 */
const SUBJECT_ALT_NAME = "551d11";

/**
 * Reads a certificate.
 *
 * @param der its DER bytes
 * @throws {DerError} if it is not a certificate
 */
export function readCertificate(der: Uint8Array<ArrayBuffer>): CertificateFacts {
  const fields = new DerReader(der).inside(Tag.Sequence).inside(Tag.Sequence);
  if (fields.tag === VERSION) fields.next();
  fields.next(Tag.Integer); // Serial number.
  fields.next(Tag.Sequence); // Signature algorithm.
  fields.next(Tag.Sequence); // Issuer.
  const validity = fields.inside(Tag.Sequence);
  const notBefore = timeOf(validity.next());
  const notAfter = timeOf(validity.next());
  fields.next(Tag.Sequence); // Subject.
  const spki = sha256Hex(fields.next(Tag.Sequence).whole);
  const names: Names = { dnsNames: [], addresses: [] };
  while (!fields.done) {
    if (fields.tag === EXTENSIONS) readExtensions(fields.inside(EXTENSIONS), names);
    else fields.next();
  }
  return { spki, notBefore, notAfter, ...names };
}

/** The DER bytes of the first certificate in a PEM text; undefined if there is none. */
export function firstCertificate(pem: string): Uint8Array<ArrayBuffer> | undefined {
  const body = /-----BEGIN CERTIFICATE-----([\s\S]*?)-----END CERTIFICATE-----/.exec(pem)?.[1];
  if (body === undefined) return undefined;
  try {
    return Uint8Array.fromBase64(body.replace(/\s+/g, ""));
  } catch {
    throw new DerError("the PEM text is not base64");
  }
}

interface Names {
  readonly dnsNames: string[];
  readonly addresses: string[];
}

function readExtensions(wrapper: DerReader, names: Names): void {
  const extensions = wrapper.inside(Tag.Sequence);
  while (!extensions.done) {
    const extension = extensions.inside(Tag.Sequence);
    if (extension.next(Tag.ObjectId).content.toHex() !== SUBJECT_ALT_NAME) continue;
    // The critical flag may precede the value.
    if (extension.tag !== Tag.OctetString) extension.next();
    const alternatives = extension.inside(Tag.OctetString).inside(Tag.Sequence);
    while (!alternatives.done) {
      const { tag, content } = alternatives.next();
      if (tag === DNS_NAME) names.dnsNames.push(latin1(content).toLowerCase());
      else if (tag === IP_ADDRESS) names.addresses.push(content.toHex());
    }
  }
}

const decoder = new TextDecoder("latin1");

function latin1(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ` (RFC 5280, 4.1.2.5). */
function timeOf({ tag, content }: Element): number {
  const text = latin1(content);
  const [, year = "", month, day, hour, minute, second] = tag === Tag.UtcTime
    ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text) ?? []
    : tag === Tag.GeneralizedTime
    ? /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text) ?? []
    : [];
  const full = year.length === 2 ? `${Number(year) < 50 ? "20" : "19"}${year}` : year;
  const time = Date.parse(`${full}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(time)) throw new DerError("bad time");
  return time;
}

/**
 * Whether the alternative names cover a host. The common name of the subject does not count.
 *
 * @param host as in a URL: a lower-case name, an IPv4 address, an IPv6 address in brackets
 */
export function coversHost({ dnsNames, addresses }: CertificateFacts, host: string): boolean {
  const address = addressBytes(host);
  if (address !== null) return addresses.includes(address);
  const name = host.replace(/\.$/, "").toLowerCase();
  return dnsNames.some((pattern) => matches(pattern.replace(/\.$/, ""), name));
}

/** A `*` matches exactly the first label of a name with at least three labels. */
function matches(pattern: string, name: string): boolean {
  if (!pattern.startsWith("*.")) return pattern === name;
  const dot = name.indexOf(".");
  return dot > 0 && pattern.slice(1) === name.slice(dot) && pattern.split(".").length > 2;
}

/** The bytes of an IP address host, as hex; null for a name. */
function addressBytes(host: string): string | null {
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) {
    return Uint8Array.from(host.split("."), Number).toHex();
  }
  if (!host.startsWith("[") || !host.endsWith("]")) return null;
  // IPv6 addresses in a URL have no embedded IPv4 part.
  const [head = "", tail] = host.slice(1, -1).split("::");
  const groups = (text: string): string[] =>
    text === "" ? [] : text.split(":").map((group) => group.padStart(4, "0"));
  const front = groups(head);
  const back = groups(tail ?? "");
  const missing = tail === undefined ? 0 : 8 - front.length - back.length;
  return [...front, ...Array<string>(Math.max(0, missing)).fill("0000"), ...back].join("");
}

/**
 * Access keys and certificates (docs/spec/sharing.md 1.1, 1.6). A user would have lost a key that
 * the other program calls wrong, or would have sent a secret to a stranger.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import {
  type CertificateFacts,
  coversHost,
  firstCertificate,
  readCertificate,
} from "../../lib/access/certificate.ts";
import { DerError } from "../../lib/access/der.ts";
import {
  equalSecrets,
  formatAccessKey,
  keyIdOf,
  newSecret,
  parseAccessKey,
  textHash,
  verifierOf,
} from "../../lib/access/key.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { makeCertificate } from "../../server/certificate.ts";

const SPKI = "0123456789abcdef".repeat(4);
const SECRET = "fedcba9876543210".repeat(4);

Deno.test("access key: what is derived from a secret is what 1.x derives", () => {
  const digest = (bytes: Uint8Array | string): string =>
    createHash("sha256").update(bytes).digest("hex");
  const verifier = digest(Uint8Array.fromHex(SECRET));
  assert.equal(verifierOf(SECRET), verifier);
  assert.equal(verifierOf(SECRET.toUpperCase()), verifier, "servers take either case");
  assert.equal(keyIdOf(verifier), digest(verifier));
  assert.equal(textHash("rt1.x"), digest("rt1.x"));
});

Deno.test("access key: a key survives being written and read; two secrets differ", () => {
  const key = { spki: SPKI, secret: newSecret() };
  assert.deepEqual(parseAccessKey(formatAccessKey(key)), key);
  assert.notEqual(newSecret(), newSecret());
});

Deno.test("access key: anything else is Usage, and the error does not repeat it", () => {
  const good = formatAccessKey({ spki: SPKI, secret: SECRET });
  const bad = [
    "",
    "pk1",
    SECRET,
    `pk2.${SPKI}.${SECRET}`,
    `PK1.${SPKI}.${SECRET}`,
    `pk1.${SPKI}`,
    `pk1.${SPKI}.${SECRET}.`,
    `pk1.${SPKI}.${SECRET}0`,
    `pk1.${SPKI}.${SECRET.slice(1)}`,
    `pk1.${SPKI.slice(1)}.${SECRET}`,
    `pk1.${SPKI}.${SECRET.toUpperCase()}`,
    `pk1.${SPKI}.${SECRET.slice(1)}g`,
    `pk1.${SPKI}.${SECRET}\n`,
    ` ${good}`,
    good.replace(".", " "),
  ];
  for (const text of bad) {
    assert.throws(() => parseAccessKey(text), (error) => {
      assert.ok(PlasmiteError.is(error, ErrorKind.Usage), text);
      assert.ok(!`${error.message}${error.hint}`.includes("fedcba"), "the secret in an error");
      return true;
    });
  }
});

Deno.test("access key: a comparison looks at every character", () => {
  assert.ok(equalSecrets(SECRET, SECRET));
  for (const other of ["", SECRET.slice(1), `${SECRET}0`, SECRET.replace("f", "e")]) {
    assert.ok(!equalSecrets(other, SECRET), other);
  }
});

async function madeHere(): Promise<Uint8Array<ArrayBuffer>> {
  const der = firstCertificate((await makeCertificate("192.0.2.7")).cert);
  assert.ok(der !== undefined);
  return der;
}

Deno.test("certificate: key, dates and names are those that the system's library reads", async () => {
  const der = await madeHere();
  const facts = readCertificate(der);
  const x509 = new X509Certificate(der);
  const spki = x509.publicKey.export({ type: "spki", format: "der" });
  assert.equal(facts.spki, createHash("sha256").update(spki).digest("hex"));
  assert.equal(facts.notBefore, Date.parse(x509.validFrom));
  assert.equal(facts.notAfter, Date.parse(x509.validTo));
  for (const host of ["localhost", "127.0.0.1", "[::1]", "192.0.2.7"]) {
    assert.ok(coversHost(facts, host), host);
  }
  for (const host of ["plasmite", "localhost.example", "127.0.0.2", "[::2]", "192.0.2.70", ""]) {
    assert.ok(!coversHost(facts, host), host);
  }
});

const NOTHING: CertificateFacts = {
  spki: "",
  notBefore: 0,
  notAfter: 0,
  dnsNames: [],
  addresses: [],
};

Deno.test("certificate: wildcards stand for one label, addresses match as numbers", () => {
  const dns = (dnsNames: string[], host: string): boolean =>
    coversHost({ ...NOTHING, dnsNames }, host);
  assert.ok(dns(["*.example.com"], "pi.example.com"));
  assert.ok(dns(["pi.local."], "pi.local") && dns(["pi.local"], "pi.local."));
  assert.ok(!dns(["*.example.com"], "example.com"));
  assert.ok(!dns(["*.example.com"], "a.b.example.com"));
  assert.ok(!dns(["*.com"], "example.com"));
  assert.ok(!dns(["*"], "localhost"));
  assert.ok(!dns(["p*.example.com"], "pi.example.com"));
  assert.ok(!dns(["127.0.0.1"], "127.0.0.1"), "an address is no name");
  const ip = (bytes: number[], host: string): boolean =>
    coversHost({ ...NOTHING, addresses: [Uint8Array.from(bytes).toHex()] }, host);
  assert.ok(ip([10, 0, 0, 1], "10.0.0.1"));
  assert.ok(ip([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5], "[2001:db8::5]"));
  assert.ok(ip(Array<number>(16).fill(0), "[::]"));
  assert.ok(!ip([10, 0, 0, 1], "[::a00:1]"));
});

// A server that sends nonsense must not end the program with an error that nobody understands.
Deno.test("certificate: damaged bytes are refused as such, wherever the damage is", async () => {
  const der = await madeHere();
  const read = (bytes: Uint8Array<ArrayBuffer>): void => {
    try {
      readCertificate(bytes);
    } catch (error) {
      assert.ok(error instanceof DerError, String(error));
    }
  };
  for (let end = 0; end < der.length; end++) {
    assert.throws(() => readCertificate(der.slice(0, end)), DerError);
  }
  for (let at = 0; at < der.length; at++) {
    for (const value of [0x00, 0x30, 0x7f, 0x80, 0x84, 0xff]) {
      const bytes = der.slice();
      bytes[at] = value;
      read(bytes);
    }
  }
  assert.throws(() =>
    firstCertificate("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----")
  );
});

/**
 * Files of certificates to trust: one that holds something else must be refused by name at once, not
 * by a handshake that fails later for a reason nobody understands.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { certificatesOf, readCertificates } from "../../lib/backend/http/trust.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { makeCertificate } from "../../server/certificate.ts";
import { withDir } from "../support/processes.ts";

const { cert } = await makeCertificate("127.0.0.1");
const der = Uint8Array.fromBase64(cert.replaceAll(/-----[^-]+-----|\s/g, ""));

function pem(bytes: Uint8Array): string {
  return `-----BEGIN CERTIFICATE-----\n${bytes.toBase64()}\n-----END CERTIFICATE-----\n`;
}

/** The message for a text that is refused. */
function refusal(text: string): string {
  try {
    certificatesOf(text, "ca.pem");
  } catch (error) {
    assert.ok(PlasmiteError.is(error, ErrorKind.Usage));
    assert.equal(error.path, "ca.pem");
    return error.message;
  }
  throw new assert.AssertionError({ message: "taken" });
}

Deno.test("certificates to trust: what is no certificate is refused before anything is sent", () => {
  const none = "TLS CA/certificate file contains no parsable certificates";
  for (const tag of [0x00, 0x02, 0x04, 0x31, 0xa0, 0xff]) {
    assert.equal(refusal(pem(Uint8Array.of(tag, ...der.subarray(1)))), none, `tag ${tag}`);
  }
  assert.equal(refusal(pem(der.subarray(0, -1))), none, "cut short");
  assert.equal(refusal(pem(Uint8Array.of(...der, 0))), none, "something behind it");
  assert.equal(refusal(pem(Uint8Array.of())), none, "nothing");
  assert.equal(refusal(pem(Uint8Array.of(0x30))), none, "no length");
  assert.equal(
    refusal(pem(Uint8Array.of(0x30, 0x85, 0, 0, 0, 0, 1, 7))),
    none,
    "five length bytes",
  );
  assert.equal(refusal(pem(der).replace("M", "*")), none, "no base64");
  assert.equal(refusal("hello"), "TLS CA/certificate file contains no certificates");
  assert.equal(
    refusal("-----BEGIN CERTIFICATE-----\nMII"),
    "failed to parse TLS CA/certificate file",
  );
});

Deno.test("certificates to trust: all good ones of a file, whatever else is in it", () => {
  const short = Uint8Array.of(0x30, 3, 1, 2, 3);
  const file = `# ours\n${pem(Uint8Array.of(1, 2))}${cert}\nnotes\n${pem(short)}`;
  assert.deepEqual(certificatesOf(file), [cert.trim() + "\n", pem(short)]);
});

Deno.test("certificates to trust: a file that cannot be read, or is no text, is named", () =>
  withDir((dir) => {
    for (const [name, bytes] of [["none", null], ["binary", Uint8Array.of(0xff, 0xfe)]] as const) {
      const path = `${dir}/${name}`;
      if (bytes !== null) Deno.writeFileSync(path, bytes);
      assert.throws(() => readCertificates(path), (error) => {
        assert.ok(PlasmiteError.is(error, ErrorKind.Usage));
        assert.match(error.message, bytes === null ? /^failed to read/ : /^failed to parse/);
        return error.path === path;
      });
    }
  }));

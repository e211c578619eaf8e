/**
 * Connections to a server whose certificate is pinned by an access key (docs/spec/sharing.md 1.6).
 * The issuer does not matter; the certificate's public key, names and dates are checked. Deno
 * always verifies the handshake signature, so the server is known to hold the private key.
 *
 * @module
 */

import { type CertificateFacts, coversHost, readCertificate } from "../../access/certificate.ts";
import { equalSecrets } from "../../access/key.ts";
import { messageOf } from "../../errors.ts";
import { trustingDialer } from "./node_tls.ts";
import { type Dial, WrongCertificate } from "./socket.ts";

/**
 * Connects to `base` if its certificate is the expected one.
 *
 * @param spki the digest of its public key, as in an access key; null to check only names and dates
 */
export function pinnedDialer(base: URL, spki: string | null): Dial {
  const check = (der: Uint8Array<ArrayBuffer>): void => checkCertificate(der, base, spki);
  return trustingDialer(base, { ca: undefined, skipVerify: true, check });
}

function checkCertificate(der: Uint8Array<ArrayBuffer>, base: URL, spki: string | null): void {
  let facts: CertificateFacts;
  try {
    facts = readCertificate(der);
  } catch (error) {
    throw new WrongCertificate(
      `the certificate of the server cannot be read: ${messageOf(error)}`,
      "Check that the address is that of a Plasmite server.",
    );
  }
  if (!coversHost(facts, base.hostname)) {
    throw new WrongCertificate(
      `the certificate of the server is not for ${base.hostname}`,
      `Use an address that the certificate has${namesIn(facts)}.`,
    );
  }
  checkDates(facts);
  if (spki !== null && !equalSecrets(facts.spki, spki)) {
    throw new WrongCertificate(
      "the key of the server is not the one in the access key",
      "The server was set up anew, or somebody is in between. Ask for a new access key, on a way " +
        "that you trust.",
    );
  }
}

function checkDates({ notBefore, notAfter }: CertificateFacts): void {
  const now = Date.now();
  if (now >= notBefore && now <= notAfter) return;
  const [when, time] = now < notBefore ? ["begins", notBefore] : ["ended", notAfter];
  throw new WrongCertificate(
    `the certificate of the server ${when} ${new Date(time).toISOString().slice(0, 19)}Z`,
    "Check the clocks, or have the server make a new certificate.",
  );
}

/** The first few names of a certificate, for display. */
function namesIn({ dnsNames }: CertificateFacts): string {
  const names = dnsNames.filter((name) => /^[a-z0-9.*-]+$/.test(name)).slice(0, 5);
  return names.length === 0 ? "" : `: ${names.join(", ")}`;
}

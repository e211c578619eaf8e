/**
 * Certificates for tests: an authority, and what it has signed.
 *
 * @module
 */

import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import "./environment.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const HOUR = 3_600_000;

/** A certificate with its key, as PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** Signs certificates. */
export class Authority {
  readonly #keys: CryptoKeyPair;
  readonly #certificate: x509.X509Certificate;

  private constructor(keys: CryptoKeyPair, certificate: x509.X509Certificate) {
    this.#keys = keys;
    this.#certificate = certificate;
  }

  /** Creates an authority. */
  static async create(): Promise<Authority> {
    x509.cryptoProvider.set(crypto);
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      ...validity(),
      serialNumber: "01",
      name: "CN=Test authority",
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    });
    return new Authority(keys, certificate);
  }

  /** Its own certificate, as PEM. */
  get pem(): string {
    return `${this.#certificate.toString("pem")}\n`;
  }

  /** Signs a certificate for host names and addresses. */
  async sign(names: readonly string[], addresses: readonly string[] = []): Promise<Pair> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      ...validity(),
      serialNumber: crypto.randomUUID().replaceAll("-", ""),
      subject: "CN=test",
      issuer: this.#certificate.subject,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.SubjectAlternativeNameExtension([
          ...names.map((value) => ({ type: "dns" as const, value })),
          ...addresses.map((value) => ({ type: "ip" as const, value })),
        ]),
      ],
    });
    const der = new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
    const key = x509.PemConverter.encode(der, "PRIVATE KEY");
    return { cert: `${certificate.toString("pem")}\n`, key: `${key}\n` };
  }
}

function validity(): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() - HOUR), notAfter: new Date(Date.now() + 24 * HOUR) };
}

async function newKeys(): Promise<CryptoKeyPair> {
  return await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

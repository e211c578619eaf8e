/**
 * How to reach NATS servers: credentials, TLS and the JetStream domain (docs/spec/jetstream.md 2).
 *
 * @module
 */

import type { ConnectionOptions } from "@nats-io/transport-node";
import { messageOf, PlasmiteError } from "../../errors.ts";
import { certificatesOf, readCertificates } from "../http/trust.ts";
import type { AccessOptions } from "../resolve.ts";
import { hostPort, type NatsAddress } from "./ref.ts";

/** The client library, loaded on the first connection. */
export type Transport = typeof import("@nats-io/transport-node");

/** The TLS options of one connection; `host` and `servername` change with the server dialled. */
interface Tls {
  handshakeFirst?: boolean;
  ca?: string;
  cert?: string;
  key?: string;
  rejectUnauthorized?: boolean;
  host?: string;
  servername?: string;
}

/** Credentials, by the contents of the file. */
export type Credentials =
  | { readonly kind: "creds" | "seed"; readonly text: string }
  | { readonly kind: "password"; readonly user: string; readonly password: string };

/** Timeout for a connection attempt, in milliseconds; the library applies it to each server. */
export const CONNECT_MS = 4_000;

function usage(message: string, hint: string, path?: string, cause?: unknown): PlasmiteError {
  return new PlasmiteError("Usage", message, {
    hint,
    path,
    ...(cause === undefined ? {} : { causes: [messageOf(cause)], cause }),
  });
}

function readText(path: string, what: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw usage(`Failed to read ${what}`, "Check the path and its permissions.", path, error);
  }
}

/**
 * Parses credentials: a creds file, a seed, or a single line `user:password`.
 *
 * @param path the file that the text came from, for errors, which never contain the text
 * @throws {PlasmiteError} Usage
 */
export function parseCredentials(text: string, path?: string): Credentials {
  const line = text.trim();
  if (/-----BEGIN NATS USER JWT-----/.test(text)) return { kind: "creds", text };
  if (/^SU[A-Z2-7]{56}$/.test(line)) return { kind: "seed", text: line };
  // Remove only the line ending: a password may begin or end with a space.
  const [first = "", ...more] = text.replace(/\r?\n$/, "").split(/\r?\n/);
  const colon = first.indexOf(":");
  if (more.length === 0 && colon > 0) {
    const user = first.slice(0, colon);
    return { kind: "password", user, password: first.slice(colon + 1) };
  }
  throw usage(
    "Unknown kind of NATS credentials",
    "The file must have a user JWT and seed (a creds file), a seed that begins with SU, or one " +
      "line user:password.",
    path,
  );
}

function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|::1)$/i.test(host);
}

/** Whether TLS is required by the scheme, or by an option that only makes sense with TLS. */
function needsTls({ tls }: NatsAddress, { tls: given = {} }: AccessOptions): boolean {
  return tls || given.caFile !== undefined || given.caCerts !== undefined ||
    given.skipVerify === true || given.certFile !== undefined || given.first === true;
}

function tlsOptions({ tls = {} }: AccessOptions): Tls {
  const { caCerts, caFile, certFile, keyFile } = tls;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new PlasmiteError(
      "Usage",
      "A client certificate needs its key, and a key its certificate",
      {
        hint: "Give both files.",
        topic: "nats client certificate",
      },
    );
  }
  const options: Tls = {};
  if (tls.first === true) options.handshakeFirst = true;
  if (tls.skipVerify === true) options.rejectUnauthorized = false;
  else if (caCerts !== undefined) {
    options.ca = caCerts.flatMap((pem) => certificatesOf(pem)).join("");
  } else if (caFile !== undefined) options.ca = readCertificates(caFile).join("");
  if (certFile !== undefined) options.cert = readText(certFile, "client certificate");
  if (keyFile !== undefined) options.key = readText(keyFile, "client key");
  return options;
}

/** Prepares the options of a connection and validates them before anything is sent. */
export class NatsAccess {
  readonly #address: NatsAddress;
  readonly #tls: Tls | undefined;
  readonly #credentials: Credentials | undefined;
  readonly #token: string | undefined;
  readonly #name: string;

  /**
   * Reads the files named by the options.
   *
   * @throws {PlasmiteError} Usage
   */
  constructor(address: NatsAddress, options: AccessOptions) {
    const { creds, credsFile, token } = options;
    this.#address = address;
    this.#tls = needsTls(address, options) ? tlsOptions(options) : undefined;
    if (options.tls?.keyFile !== undefined && this.#tls === undefined) tlsOptions(options);
    this.#token = token;
    this.#name = options.clientName ?? "plasmite";
    const text = creds ??
      (credsFile === undefined ? undefined : readText(credsFile, "credentials"));
    this.#credentials = text === undefined ? undefined : parseCredentials(text, credsFile);
    if (token !== undefined && text !== undefined) {
      throw usage("Both a token and credentials are given", "Give one of them.");
    }
    this.#refuseClearText();
  }

  /** Seeds and creds files only sign a nonce; passwords and tokens would be sent in plaintext. */
  #refuseClearText(): void {
    const secret = this.#token !== undefined || this.#credentials?.kind === "password";
    if (!secret || this.#tls !== undefined) return;
    if (this.#address.servers.every(({ host }) => isLoopback(host))) return;
    throw new PlasmiteError(
      "Usage",
      "a password or token requires nats+tls:// or a loopback address",
      { hint: "Use nats+tls://, so that nobody in between can read the password or token." },
    );
  }

  /** Whether there is a client certificate. */
  get hasCertificate(): boolean {
    return this.#tls?.cert !== undefined;
  }

  /** The options for the client library. */
  options(library: Transport): ConnectionOptions {
    const { servers } = this.#address;
    const tls = this.#tls;
    return {
      servers: servers.map(hostPort),
      name: this.#name,
      timeout: CONNECT_MS,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      reconnectDelayHandler: () => 250,
      // Servers advertised by other servers may have addresses that the certificate does not list.
      ignoreClusterUpdates: tls !== undefined,
      resolve: false,
      noAsyncTraces: true,
      ...this.#authenticator(library),
      ...(tls === undefined ? {} : {
        tls,
        // Called before each attempt. Without `host`, the certificate of a server addressed by IP
        // would be checked against the name "localhost".
        reconnectToServer: ([next]) => {
          const host = next?.hostname ?? "";
          const isIp = /^[\d.]+$|:/.test(host);
          tls.host = host.replace(/^\[|\]$/g, "");
          tls.servername = isIp ? "" : host;
          return null;
        },
      }),
    };
  }

  #authenticator(library: Transport): ConnectionOptions {
    const credentials = this.#credentials;
    if (this.#token !== undefined) return { token: this.#token };
    if (credentials === undefined) return {};
    if (credentials.kind === "password") {
      return { user: credentials.user, pass: credentials.password };
    }
    const bytes = new TextEncoder().encode(credentials.text);
    return {
      authenticator: credentials.kind === "seed"
        ? library.nkeyAuthenticator(bytes)
        : library.credsAuthenticator(bytes),
    };
  }
}

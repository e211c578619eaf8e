/**
 * Decides from the options of `serve` whether there are one or two listeners, and makes the
 * configuration of two (docs/spec/sharing.md 2.1).
 *
 * @module
 */

import { readFrontCertificate, rememberedAddress } from "./access/identity.ts";
import { inspectPair } from "./certificate.ts";
import {
  type Address,
  isLoopback,
  isWildcard,
  type Limits,
  limitsOf,
  parseBind,
  readText,
  readTokenOf,
  type ServeFlags,
  type Token,
  usage,
} from "./config.ts";
import { normalizeOrigin } from "./guard.ts";

/** A configuration of two listeners. */
export interface SharedConfig extends Limits {
  /** The local listener, without credentials. */
  readonly local: Address;
  /** The remote listener, with TLS and credentials. */
  readonly remote: Address;
  /** The origin that clients use; undefined for the saved one. */
  readonly sharedAddress: string | undefined;
  /** What bare starts did before, and do again. */
  readonly remembered: string | null;
  /** A further bearer value of the remote listener; null for none. */
  readonly token: Token | null;
  /** A certificate from elsewhere and its key. */
  readonly pair: { readonly cert: string; readonly key: string } | undefined;
  /** The certificate of a TLS proxy in front. */
  readonly frontCert: string | undefined;
}

/** The default port of the remote listener. */
const REMOTE_PORT = 9743;
/** The port of an origin without a port. */
const HTTPS_PORT = 443;

/** Options that exist only with one listener; using one asks for that. */
const ONE_LISTENER = [
  "allow-non-loopback",
  "token",
  "token-file",
  "access",
  "cors-origin",
  "tls-self-signed",
  "insecure-no-tls",
  "tls-cert",
  "tls-key",
];

/**
 * The configuration of two listeners; null if the options ask for one.
 *
 * @param poolDir the directory in which the address of an earlier start is saved
 * @throws {PlasmiteError} Usage, Io, and Corrupt or Permission for the state of earlier starts
 */
export async function resolveShared(
  flags: ServeFlags,
  poolDir: string,
): Promise<SharedConfig | null> {
  const { server, sharedAddress, remoteBind, frontCert, given = [] } = flags;
  const asked = [server, sharedAddress, remoteBind, frontCert].some((one) => one !== undefined);
  if (!asked) {
    if (given.some((name) => ONE_LISTENER.includes(name))) return null;
    if (!isLoopback(parseBind(flags.bind).hostname)) return null;
  }
  const remembered = rememberedAddress(poolDir);
  if (!asked && remembered === null) return null;

  if (server !== undefined && sharedAddress !== undefined) {
    throw usage("SERVER cannot be combined with --shared-address", "Give the address once.");
  }
  const given_ = server ?? sharedAddress;
  const origin = given_ === undefined ? undefined : parseOrigin(given_);
  const local = parseBind(flags.bind);
  if (!isLoopback(local.hostname)) {
    throw usage(
      "--bind must be a loopback address beside a listener for others",
      "It is for this machine alone. Use --remote-bind for the listener that others reach.",
    );
  }
  const token = readTokenOf(flags);
  if (token?.from === "--token" && flags.access !== "read-only") {
    throw usage(
      "non-loopback write requires --token-file",
      "Other users of this machine see what stands on a command line. Access keys need no token.",
    );
  }
  if (flags.insecureNoTls === true) {
    throw usage("--insecure-no-tls cannot be used for the listener for others", "Leave it out.");
  }
  const corsOrigins = [...new Set(flags.corsOrigins.map(normalizeOrigin))];
  const limits = limitsOf(flags, corsOrigins);
  const bare = asked ? null : remembered;
  const remote = remoteBind !== undefined
    ? parseBind(remoteBind)
    : bare !== null && bare.bind !== null
    ? parseBind(bare.bind)
    : { hostname: "0.0.0.0", port: portOf(server === undefined ? bare?.address : origin) };
  refuseSame(local, remote);
  return {
    ...limits,
    local,
    remote,
    sharedAddress: origin,
    remembered: remembered?.address ?? null,
    token,
    pair: await readPair(flags),
    frontCert: frontCert === undefined ? undefined : await readFrontCertificate(frontCert),
  };
}

/**
 * Normalises an https origin.
 *
 * @throws {PlasmiteError} Usage
 */
export function parseOrigin(given: string): string {
  const text = given.trim();
  const wrong = (problem: string) =>
    usage(
      `invalid server address: ${problem}`,
      "Give the address that clients use, as in https://pi.local:9743.",
    );
  if (!/^https:\/\//i.test(text)) throw wrong("it must begin with https://");
  if (!URL.canParse(text)) throw wrong("it is no URL");
  const url = new URL(text);
  if (url.username !== "" || url.password !== "" || /^[^/]*\/\/[^/]*@/.test(text)) {
    throw wrong("it must not name a user");
  }
  if (url.pathname !== "/" || /[?#]/.test(text)) {
    throw wrong("it must have no path, query or fragment");
  }
  if (url.hostname.includes("*") || url.hostname === "0.0.0.0" || url.hostname === "[::]") {
    throw wrong("it must name one host");
  }
  return url.origin;
}

/** The port of an origin. */
function portOf(origin: string | undefined): number {
  if (origin === undefined) return REMOTE_PORT;
  const { port } = new URL(origin);
  return port === "" ? HTTPS_PORT : Number(port);
}

function refuseSame(local: Address, remote: Address): void {
  if (local.port !== remote.port || local.port === 0) return;
  if (!isWildcard(remote.hostname) && local.hostname !== remote.hostname) return;
  throw usage(
    "the two listeners must have different addresses",
    `Both would listen on port ${local.port}. Change --bind or --remote-bind.`,
  );
}

async function readPair(flags: ServeFlags): Promise<SharedConfig["pair"]> {
  const { tlsCert, tlsKey } = flags;
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw usage("TLS requires both --tls-cert and --tls-key", "Give both, or neither.");
  }
  if (flags.tlsSelfSigned === true) {
    throw usage(
      "--tls-self-signed cannot be combined with --tls-cert/--tls-key",
      "Leave --tls-self-signed out.",
    );
  }
  const cert = readText(tlsCert, "Io", "failed to read TLS certificate");
  const key = readText(tlsKey, "Io", "failed to read TLS key");
  await inspectPair(cert, key, tlsCert);
  return { cert, key };
}

/**
 * Turns the options of `serve` into a safe configuration: all rules about addresses, tokens and
 * certificates, in the order of docs/spec/command-line.md 8.1.
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../lib/errors.ts";
import { checkToken } from "../lib/backend/http/token.ts";
import type { Access } from "./auth.ts";
import { normalizeOrigin } from "./guard.ts";
import type { MountFlags } from "./mounts.ts";

/** The options as they were given. */
export interface ServeFlags extends SharingFlags, MountFlags {
  /** `IP:PORT`. */
  readonly bind: string;
  /** What callers may do. */
  readonly access: Access;
  /** Origins whose pages may send requests. */
  readonly corsOrigins: readonly string[];
  /** Further host names. */
  readonly allowHosts: readonly string[];
  /** `--token`. */
  readonly token?: string | undefined;
  /** `--token-file`. */
  readonly tokenFile?: string | undefined;
  /** `--tls-cert`. */
  readonly tlsCert?: string | undefined;
  /** `--tls-key`. */
  readonly tlsKey?: string | undefined;
  /** `--tls-self-signed`. */
  readonly tlsSelfSigned?: boolean;
  /** `--allow-non-loopback`. */
  readonly allowNonLoopback?: boolean;
  /** `--insecure-no-tls`. */
  readonly insecureNoTls?: boolean;
  /** Largest body in bytes. */
  readonly maxBodyBytes: number;
  /** Most memory for all bodies together, in bytes; default 64 MiB. */
  readonly maxBodiesBytes?: number | undefined;
  /** Longest tail in milliseconds. */
  readonly maxTailTimeoutMs: number;
  /** Streams at once. */
  readonly maxTailConcurrency: number;
}

/** The options that decide whether there are two listeners. */
export interface SharingFlags {
  /** The origin by which clients know the server, `https://HOST[:PORT]`. */
  readonly server?: string | undefined;
  /** The same, without its effect on the port. */
  readonly sharedAddress?: string | undefined;
  /** The address of the listener for other machines, `IP:PORT`. */
  readonly remoteBind?: string | undefined;
  /** The certificate of a TLS proxy in front. */
  readonly frontCert?: string | undefined;
  /** The names of all options that were typed. */
  readonly given?: readonly string[];
}

/** Limits for callers, and further hosts and origins. */
export interface Limits {
  /** What callers may do. */
  readonly access: Access;
  /** Normalised origins. */
  readonly corsOrigins: readonly string[];
  /** Further host names. */
  readonly allowHosts: readonly string[];
  /** Largest body in bytes. */
  readonly maxBodyBytes: number;
  /** Most memory for all bodies together, in bytes. */
  readonly maxBodiesBytes: number;
  /** Longest tail in milliseconds. */
  readonly maxTailTimeoutMs: number;
  /** Streams at once. */
  readonly maxTailConcurrency: number;
}

/** The source of the certificate. */
export type TlsConfig =
  | { readonly kind: "self-signed" }
  | {
    readonly kind: "files";
    readonly certPath: string;
    readonly keyPath: string;
    readonly cert: string;
    readonly fingerprint: string;
  };

/** A token and its source. */
export interface Token {
  /** The token. */
  readonly value: string;
  /** The option. */
  readonly from: "--token" | "--token-file";
  /** The file; null for `--token`. */
  readonly path: string | null;
}

/** A valid configuration of one listener. */
export interface ServeConfig extends Limits {
  /** The address to listen on. */
  readonly hostname: string;
  /** The port; 0 for any. */
  readonly port: number;
  /** Whether only this machine can reach it. */
  readonly loopback: boolean;
  /** The token; null for none. */
  readonly token: Token | null;
  /** The certificate; null without TLS. */
  readonly tls: TlsConfig | null;
}

const INIT = "Run `plasmite serve init` for a token, a key and a certificate.";

/** The default memory for all request bodies together, in bytes. */
const BODIES = 64 << 20;

/** The defaults of the options. */
export const DEFAULT_FLAGS: ServeFlags = {
  bind: "127.0.0.1:9700",
  access: "read-write",
  corsOrigins: [],
  allowHosts: [],
  maxBodyBytes: 1_048_576,
  maxTailTimeoutMs: 30_000,
  maxTailConcurrency: 64,
};

/** An address for listening. */
export interface Address {
  readonly hostname: string;
  /** 0 for any. */
  readonly port: number;
}

/** An address as `IP:PORT`, IPv6 in brackets. */
export function addressText({ hostname, port }: Address): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** Whether an address stands for all interfaces. */
export function isWildcard(hostname: string): boolean {
  return hostname === "0.0.0.0" || hostname === "::";
}

/**
 * Reads `IP:PORT`, `[IPv6]:PORT` or `localhost:PORT`.
 *
 * @throws {PlasmiteError} Usage
 */
export function parseBind(text: string): Address {
  const match = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)|(localhost)):([0-9]{1,5})$/i.exec(text.trim());
  const [, v6, v4, name, digits] = match ?? [];
  const port = Number(digits ?? -1);
  const hostname = name !== undefined ? "127.0.0.1" : v6 ?? v4 ?? "";
  const valid = v6 !== undefined
    ? URL.canParse(`http://[${v6}]/`)
    : hostname.split(".").length === 4 &&
      hostname.split(".").every((part) => /^(?:0|[1-9][0-9]{0,2})$/.test(part) && +part < 256);
  if (match === null || !valid || port > 65535) {
    throw new PlasmiteError("Usage", "invalid bind address", {
      hint: "Use host:port with an IP address, as in `plasmite serve --bind 127.0.0.1:9700`, or " +
        "[::1]:9700, or 0.0.0.0:9700.",
      causes: [text],
    });
  }
  return { hostname: hostname.toLowerCase(), port };
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(hostname: string): boolean {
  return hostname.startsWith("127.") || (hostname.includes(":") &&
    new URL(`http://[${hostname}]/`).hostname === "[::1]");
}

/** An address as in a URL, with loopback in place of wildcards. */
export function shownHost(hostname: string): string {
  if (hostname === "0.0.0.0") return "127.0.0.1";
  if (!hostname.includes(":")) return hostname;
  const plain = new URL(`http://[${hostname}]/`).hostname;
  return plain === "[::]" ? "[::1]" : plain;
}

/** An error about the options. */
export function usage(message: string, hint: string): PlasmiteError {
  return new PlasmiteError("Usage", message, { hint });
}

/** The text of a file that an option names. */
export function readText(path: string, kind: "Usage" | "Io", message: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (cause) {
    throw new PlasmiteError(kind, message, {
      path,
      hint: "Check the path and its permissions.",
      causes: [messageOf(cause)],
      cause,
    });
  }
}

/**
 * The token of `--token` or `--token-file`; null without both.
 *
 * @throws {PlasmiteError} Usage
 */
export function readTokenOf(flags: ServeFlags): Token | null {
  const { token, tokenFile } = flags;
  if (token !== undefined && tokenFile !== undefined) {
    throw usage("--token cannot be combined with --token-file", `Use --token-file alone. ${INIT}`);
  }
  if (tokenFile !== undefined) {
    const value = readText(tokenFile, "Usage", "failed to read token file").trim();
    if (value !== "") {
      checkToken(value, tokenFile, INIT);
      return { value, from: "--token-file", path: tokenFile };
    }
    throw new PlasmiteError("Usage", "token file is empty", { path: tokenFile, hint: INIT });
  }
  if (token === undefined) return null;
  if (token !== "") {
    checkToken(token, undefined, INIT);
    return { value: token, from: "--token", path: null };
  }
  throw usage("--token must not be empty", `Leave it out for no token. ${INIT}`);
}

/**
 * Checks the options (docs/spec/command-line.md 8.1). Nothing is bound; token and certificate are
 * read.
 *
 * @throws {PlasmiteError} Usage, or Io for a certificate that cannot be read
 */
export async function resolveServe(flags: ServeFlags): Promise<ServeConfig> {
  const { hostname, port } = parseBind(flags.bind);
  const token = readTokenOf(flags);
  const { tlsCert, tlsKey, tlsSelfSigned = false, access } = flags;
  // A contradiction is an error, whatever is in the files.
  if (tlsSelfSigned && (tlsCert !== undefined || tlsKey !== undefined)) {
    throw usage("--tls-self-signed cannot be combined with --tls-cert/--tls-key", INIT);
  }
  const cert = tlsCert === undefined
    ? null
    : readText(tlsCert, "Io", "failed to read TLS certificate");
  const fingerprint = cert === null
    ? ""
    : await (await import("./certificate.ts")).fingerprintOf(cert, tlsCert ?? "");
  const corsOrigins = [...new Set(flags.corsOrigins.map(normalizeOrigin))];
  const loopback = isLoopback(hostname);
  if (!loopback && flags.allowNonLoopback !== true) {
    throw usage(
      "non-loopback bind requires explicit opt-in",
      "Add --allow-non-loopback to let other machines in, or bind to 127.0.0.1.",
    );
  }
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw usage("TLS requires both --tls-cert and --tls-key", INIT);
  }
  const limits = limitsOf(flags, corsOrigins);
  const tls: TlsConfig | null = tlsSelfSigned
    ? { kind: "self-signed" }
    : cert === null || tlsCert === undefined || tlsKey === undefined
    ? null
    : { kind: "files", certPath: tlsCert, keyPath: tlsKey, cert, fingerprint };
  if (!loopback && access !== "read-only") {
    if (token?.from !== "--token-file") {
      throw usage("non-loopback write requires --token-file", INIT);
    }
    if (tls === null && flags.insecureNoTls !== true) {
      throw usage("non-loopback write requires TLS", INIT);
    }
  }
  return { ...limits, hostname, port, loopback, token, tls };
}

/**
 * The limits of the options.
 *
 * @param corsOrigins normalised
 * @throws {PlasmiteError} Usage
 */
export function limitsOf(flags: ServeFlags, corsOrigins: readonly string[]): Limits {
  const limits: [string, number][] = [
    ["--max-body-bytes", flags.maxBodyBytes],
    ["--max-bodies-bytes", flags.maxBodiesBytes ?? 1],
    ["--max-tail-timeout-ms", flags.maxTailTimeoutMs],
    ["--max-tail-concurrency", flags.maxTailConcurrency],
  ];
  for (const [name, value] of limits) {
    if (value <= 0) {
      throw usage(`${name} must be greater than zero`, "Leave it out for the default.");
    }
  }
  const maxBodiesBytes = flags.maxBodiesBytes ?? Math.max(BODIES, flags.maxBodyBytes);
  if (maxBodiesBytes < flags.maxBodyBytes) {
    throw usage(
      "--max-bodies-bytes is less than --max-body-bytes",
      "The memory for all request bodies must hold one of the largest.",
    );
  }
  return {
    access: flags.access,
    corsOrigins,
    allowHosts: flags.allowHosts,
    maxBodyBytes: flags.maxBodyBytes,
    maxBodiesBytes,
    maxTailTimeoutMs: flags.maxTailTimeoutMs,
    maxTailConcurrency: flags.maxTailConcurrency,
  };
}

/**
 * Reads the key and checks that it belongs to the certificate.
 *
 * @returns the key in PEM and the end of the validity of the certificate
 * @throws {PlasmiteError} Io, Usage
 */
export async function readKey(
  tls: Extract<TlsConfig, { kind: "files" }>,
): Promise<{ readonly key: string; readonly notAfter: Date; readonly notBefore: Date }> {
  const { hasPrivateKey, inspectPair } = await import("./certificate.ts");
  const key = readText(tls.keyPath, "Io", "failed to read TLS key");
  if (!hasPrivateKey(key)) {
    throw new PlasmiteError("Usage", "TLS key file contains no private key", {
      path: tls.keyPath,
      hint: INIT,
    });
  }
  const { notAfter, notBefore } = await inspectPair(tls.cert, key, tls.certPath);
  return { key, notAfter, notBefore };
}

/** `http://127.0.0.1:9700`. */
export function baseUrl(config: ServeConfig, port = config.port): string {
  return `${config.tls === null ? "http" : "https"}://${shownHost(config.hostname)}:${port}`;
}

/** `loopback only`, `all interfaces` or `network reachable`. */
export function scopeOf(config: ServeConfig): string {
  if (config.loopback) return "loopback only";
  const wild = config.hostname === "0.0.0.0" || shownHost(config.hostname) === "[::1]";
  return wild ? "all interfaces" : "network reachable";
}

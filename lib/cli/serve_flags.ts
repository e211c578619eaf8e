/**
 * The options of `serve`, for `serve`, `serve check` and `serve init`
 * (docs/spec/command-line.md 8).
 *
 * @module
 */

import type { AccessOptions } from "../backend/resolve.ts";
import { readTokenFile } from "./token_file.ts";
import type { Args } from "./values.ts";

/** The options as given, with defaults. */
export interface ServeFlags {
  /** `IP:PORT`. */
  readonly bind: string;
  /** What callers may do. */
  readonly access: "read-only" | "write-only" | "read-write";
  /** `--cors-origin`, in order. */
  readonly corsOrigins: readonly string[];
  /** `--allow-host`, in order. */
  readonly allowHosts: readonly string[];
  /** `--token`. */
  readonly token: string | undefined;
  /** `--token-file`. */
  readonly tokenFile: string | undefined;
  /** `--tls-cert`. */
  readonly tlsCert: string | undefined;
  /** `--tls-key`. */
  readonly tlsKey: string | undefined;
  /** `--tls-self-signed`. */
  readonly tlsSelfSigned: boolean;
  /** `--allow-non-loopback`. */
  readonly allowNonLoopback: boolean;
  /** `--insecure-no-tls`. */
  readonly insecureNoTls: boolean;
  /** Largest body in bytes. */
  readonly maxBodyBytes: number;
  /** Most memory for all bodies together, in bytes; as it was given. */
  readonly maxBodiesBytes?: number | undefined;
  /** Longest tail in milliseconds. */
  readonly maxTailTimeoutMs: number;
  /** Streams at once. */
  readonly maxTailConcurrency: number;
  /** `SERVER`: the origin by which clients know the server. */
  readonly server: string | undefined;
  /** `--shared-address`. */
  readonly sharedAddress: string | undefined;
  /** `--remote-bind`. */
  readonly remoteBind: string | undefined;
  /** `--front-cert`. */
  readonly frontCert: string | undefined;
  /** `--mount`, in order. */
  readonly mounts: readonly string[];
  /** The options that start with `--mount-`. */
  readonly mountAccess: AccessOptions;
  /** The names of all options that were typed. */
  readonly given: readonly string[];
}

/** The defaults of the options that have one, by option name. */
export const SERVE_DEFAULTS: Readonly<Record<string, string>> = {
  "bind": "127.0.0.1:9700",
  "access": "read-write",
  "max-body-bytes": "1048576",
  "max-bodies-bytes": "67108864",
  "max-tail-timeout-ms": "30000",
  "max-tail-concurrency": "64",
};

/** Parses the options. */
export function serveFlags(args: Args): ServeFlags {
  const access = args.text("access");
  const number = (name: string): number => args.count(name) ?? Number(SERVE_DEFAULTS[name]);
  return {
    bind: args.text("bind") ?? "127.0.0.1:9700",
    access: access === "read-only" || access === "write-only" ? access : "read-write",
    corsOrigins: args.texts("cors-origin"),
    allowHosts: args.texts("allow-host"),
    token: args.text("token"),
    tokenFile: args.text("token-file"),
    tlsCert: args.text("tls-cert"),
    tlsKey: args.text("tls-key"),
    tlsSelfSigned: args.has("tls-self-signed"),
    allowNonLoopback: args.has("allow-non-loopback"),
    insecureNoTls: args.has("insecure-no-tls"),
    maxBodyBytes: number("max-body-bytes"),
    maxBodiesBytes: args.count("max-bodies-bytes"),
    maxTailTimeoutMs: number("max-tail-timeout-ms"),
    maxTailConcurrency: number("max-tail-concurrency"),
    server: args.text("SERVER"),
    sharedAddress: args.text("shared-address"),
    remoteBind: args.text("remote-bind"),
    frontCert: args.text("front-cert"),
    mounts: args.texts("mount"),
    mountAccess: mountAccess(args),
    given: args.names(),
  };
}

/** How to reach mounted streams. Throws Usage. */
function mountAccess(args: Args): AccessOptions {
  const tokenFile = args.text("mount-token-file");
  return {
    token: tokenFile === undefined
      ? undefined
      : readTokenFile(tokenFile, "mount-token-file", "Put the token into it."),
    credsFile: args.text("mount-creds"),
    tls: {
      caFile: args.text("mount-tls-ca"),
      certFile: args.text("mount-tls-cert"),
      keyFile: args.text("mount-tls-key"),
    },
  };
}

/**
 * `serve check` and the start banner: what a configuration means, in words and as JSON.
 *
 * @module
 */

import { makeCertificate } from "./certificate.ts";
import { baseUrl, readKey, scopeOf, type ServeConfig } from "./config.ts";

/** A certificate that ends sooner than this is worth a warning, in milliseconds. */
const SOON = 30 * 86_400_000;

/** What a look at a configuration found. */
export interface Check {
  /** The configuration. */
  readonly config: ServeConfig;
  /** The certificate's fingerprint; null without TLS. */
  readonly fingerprint: string | null;
  /** What is not wrong but worth knowing. */
  readonly warnings: readonly string[];
}

/**
 * Looks at a configuration without listening: certificate and key are loaded and compared.
 *
 * @throws {PlasmiteError} Io, Usage
 */
export async function checkServe(config: ServeConfig, now: Date = new Date()): Promise<Check> {
  const { tls } = config;
  const warnings: string[] = [];
  let fingerprint: string | null = null;
  if (tls?.kind === "files") {
    fingerprint = tls.fingerprint;
    const { notAfter, notBefore } = await readKey(tls);
    const day = notAfter.toISOString().slice(0, 10);
    if (notAfter <= now) warnings.push(`The certificate expired on ${day}.`);
    else if (notAfter.getTime() - now.getTime() < SOON) {
      warnings.push(`The certificate expires on ${day}.`);
    }
    if (notBefore > now) {
      warnings.push(
        `The certificate is valid only from ${notBefore.toISOString().slice(0, 10)}.`,
      );
    }
  } else if (tls?.kind === "self-signed") {
    ({ fingerprint } = await makeCertificate(config.hostname));
    warnings.push(
      "A self-signed certificate is made anew at each start; this is not the next one.",
    );
  }
  warnings.push(...exposure(config));
  return { config, fingerprint, warnings };
}

/** What others could do that the operator may not expect. */
export function exposure(config: ServeConfig): string[] {
  const warnings: string[] = [];
  if (config.loopback) return warnings;
  if (config.token === null) {
    warnings.push("Anyone who reaches this address can read all pools: there is no token.");
  }
  if (config.tls === null) {
    warnings.push("Messages and the token travel unencrypted: there is no TLS.");
  }
  return warnings;
}

const TLS_WORDS = { files: "enabled", "self-signed": "self-signed" } as const;

/** The check for programs. */
export interface CheckJson {
  /** Always `valid`: what is not ends in an error. */
  readonly status: "valid";
  /** What callers may do. */
  readonly access: string;
  /** Where the token comes from. */
  readonly auth: string;
  /** The server's address. */
  readonly base_url: string;
  /** Normalised origins. */
  readonly cors_allowed_origins: readonly string[];
  /** The limits. */
  readonly limits: {
    readonly max_body_bytes: number;
    readonly max_tail_concurrency: number;
    readonly max_tail_timeout_ms: number;
  };
  /** Address and port as asked. */
  readonly listen: string;
  /** Where agents connect. */
  readonly mcp: string;
  /** `disabled`, `enabled` or `self-signed`. */
  readonly tls: string;
  /** Of the certificate. */
  readonly tls_fingerprint: string | null;
  /** Absent when there are none. */
  readonly warnings: readonly string[] | undefined;
  /** The page. */
  readonly web_ui: string;
  /** The page of one pool. */
  readonly web_ui_pool: string;
}

/** The check as one JSON document. */
export function checkJson(
  { config, fingerprint, warnings }: Check,
): { readonly check: { readonly [K in keyof CheckJson]: CheckJson[K] } } {
  const base = baseUrl(config);
  const host = config.hostname.includes(":") ? `[${config.hostname}]` : config.hostname;
  return {
    check: {
      access: config.access,
      auth: config.token === null ? "none" : `bearer token (${config.token.from})`,
      base_url: base,
      cors_allowed_origins: config.corsOrigins,
      limits: {
        max_body_bytes: config.maxBodyBytes,
        max_tail_concurrency: config.maxTailConcurrency,
        max_tail_timeout_ms: config.maxTailTimeoutMs,
      },
      listen: `${host}:${config.port}`,
      mcp: `${base}/mcp`,
      status: "valid",
      tls: config.tls === null ? "disabled" : TLS_WORDS[config.tls.kind],
      tls_fingerprint: fingerprint,
      warnings: warnings.length === 0 ? undefined : warnings,
      web_ui: `${base}/ui`,
      web_ui_pool: `${base}/ui/pools/demo`,
    },
  };
}

/** `1M`, `64K`, `1000`. */
function size(bytes: number): string {
  if (bytes % (1 << 20) === 0) return `${bytes / (1 << 20)}M`;
  return bytes % 1024 === 0 ? `${bytes / 1024}K` : String(bytes);
}

function summary(config: ServeConfig, auth: string): string {
  const tls = config.tls === null ? "off" : config.tls.kind === "files" ? "on" : "self-signed";
  const cors = config.corsOrigins.length === 0 ? "same-origin" : "allowlist";
  return `Auth: ${auth}    TLS: ${tls}    Access: ${config.access}    CORS: ${cors}`;
}

/** The check for people. */
export function checkText({ config, fingerprint, warnings }: Check): string {
  const base = baseUrl(config);
  const host = config.hostname.includes(":") ? `[${config.hostname}]` : config.hostname;
  const timeout = config.maxTailTimeoutMs % 1000 === 0
    ? `${config.maxTailTimeoutMs / 1000}s`
    : `${config.maxTailTimeoutMs}ms`;
  return [
    "Configuration valid.",
    "",
    `  Bind:   ${host}:${config.port} (${scopeOf(config)})`,
    `  MCP:    ${base}/mcp`,
    `  ${summary(config, config.token === null ? "none" : "bearer token")}`,
    `  Limits: body ${size(config.maxBodyBytes)}, timeout ${timeout}, ` +
    `concurrency ${config.maxTailConcurrency}`,
    ...(fingerprint === null ? [] : [`  Fingerprint: ${fingerprint}`]),
    ...warnings.map((warning) => `  Warning: ${warning}`),
    "",
    "Start with: pls serve",
    "",
  ].join("\n");
}

/** What a terminal shows after the start (docs/spec/command-line.md 8.1). */
export function banner(config: ServeConfig, url: string, fingerprint: string | null): string {
  const { token, tls } = config;
  const flags = (token === null ? "" : ` ${token.from} <${token.from.slice(2)}>`) +
    (tls === null ? "" : " --tls-ca <tls-cert>");
  const curl = (tls?.kind === "self-signed" ? " -k" : tls === null ? "" : " --cacert <tls-cert>") +
    (token === null ? "" : " -H 'Authorization: Bearer <token>'");
  const remarks = exposure(config).map((text) => `Warning: ${text}`);
  if (token !== null) remarks.push("Share the token by another way than this connection.");
  if (tls?.kind === "self-signed") {
    remarks.push("The certificate is self-signed: compare its fingerprint before trusting it.");
  }
  if (scopeOf(config) === "all interfaces") {
    remarks.push("On other machines replace the host by a name or address of this one.");
  }
  return [
    `Serving pools on ${url} (${scopeOf(config)})`,
    "",
    `  UI:   ${url}/ui`,
    `  MCP:  ${url}/mcp`,
    `  ${summary(config, token === null ? "none" : "bearer")}`,
    ...(fingerprint === null ? [] : [`  Fingerprint: ${fingerprint}`]),
    "",
    "Try it:",
    "",
    `  pls feed ${url}/demo${flags} '{"hello":"world"}'`,
    `  pls follow ${url}/demo${flags} --tail 10`,
    "",
    `  curl${curl} -H 'Content-Type: application/json' \\`,
    `    --data '{"data":{"hello":"world"}}' ${url}/v0/pools/demo/append`,
    "",
    ...remarks,
    "Press Ctrl-C to stop.",
    "",
  ].join("\n");
}

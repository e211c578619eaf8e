/**
 * `serve check`: describes a configuration, as text and as JSON, with warnings.
 *
 * @module
 */

import { makeCertificate } from "./certificate.ts";
import { addressText, baseUrl, readKey, scopeOf, type ServeConfig } from "./config.ts";
import { exposure, validity } from "./warnings.ts";

/** The result of checking a configuration. */
export interface Check {
  /** The configuration. */
  readonly config: ServeConfig;
  /** The certificate's fingerprint; null without TLS. */
  readonly fingerprint: string | null;
  /** Warnings; none of them makes the configuration invalid. */
  readonly warnings: readonly string[];
}

/**
 * Checks a configuration without listening; loads and compares certificate and key.
 *
 * @throws {PlasmiteError} Io, Usage
 */
export async function checkServe(config: ServeConfig, now: Date = new Date()): Promise<Check> {
  const { tls } = config;
  const warnings: string[] = [];
  let fingerprint: string | null = null;
  if (tls?.kind === "files") {
    fingerprint = tls.fingerprint;
    warnings.push(...validity(await readKey(tls), now));
  } else if (tls?.kind === "self-signed") {
    ({ fingerprint } = await makeCertificate(config.hostname));
    warnings.push(
      "A self-signed certificate is new at each start; this is not the next one.",
    );
  }
  warnings.push(...exposure(config));
  return { config, fingerprint, warnings };
}

const TLS_WORDS = { files: "enabled", "self-signed": "self-signed" } as const;

/** The result for programs. */
export interface CheckJson {
  /** Always `valid`; an invalid configuration is an error. */
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
  /** Absent if there are none. */
  readonly warnings: readonly string[] | undefined;
  /** The page. */
  readonly web_ui: string;
  /** The page of one pool. */
  readonly web_ui_pool: string;
  /** One listener or two. */
  readonly mode: "one-listener" | "two-listeners";
  /** The listener for this machine; null without one. */
  readonly local: string | null;
  /** The listener for others; null without one. */
  readonly remote: string | null;
  /** The origin that clients use, if it was given or is remembered. */
  readonly shared_address: string | null;
  /** SHA-256 of the public key, in two-listener mode once it exists. */
  readonly fingerprint: string | null;
}

/** The result as a JSON document. */
export function checkJson(
  { config, fingerprint, warnings }: Check,
): { readonly check: { readonly [K in keyof CheckJson]: CheckJson[K] } } {
  const base = baseUrl(config);
  const listen = addressText(config);
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
      listen,
      mcp: `${base}/mcp`,
      status: "valid",
      tls: config.tls === null ? "disabled" : TLS_WORDS[config.tls.kind],
      tls_fingerprint: fingerprint,
      warnings: warnings.length === 0 ? undefined : warnings,
      web_ui: `${base}/ui`,
      web_ui_pool: `${base}/ui/pools/demo`,
      mode: "one-listener",
      local: config.loopback ? listen : null,
      remote: config.loopback ? null : listen,
      shared_address: null,
      fingerprint: null,
    },
  };
}

/** `1M`, `64K`, `1000`. */
function size(bytes: number): string {
  if (bytes % (1 << 20) === 0) return `${bytes / (1 << 20)}M`;
  return bytes % 1024 === 0 ? `${bytes / 1024}K` : String(bytes);
}

/** Token, TLS, access and origins in one line. */
export function summary(config: ServeConfig, auth: string): string {
  const tls = config.tls === null ? "off" : config.tls.kind === "files" ? "on" : "self-signed";
  const cors = config.corsOrigins.length === 0 ? "same-origin" : "allowlist";
  return `Auth: ${auth}    TLS: ${tls}    Access: ${config.access}    CORS: ${cors}`;
}

/** The result for people. */
export function checkText({ config, fingerprint, warnings }: Check): string {
  const base = baseUrl(config);
  const timeout = config.maxTailTimeoutMs % 1000 === 0
    ? `${config.maxTailTimeoutMs / 1000}s`
    : `${config.maxTailTimeoutMs}ms`;
  return [
    "Configuration valid.",
    "",
    `  Bind:   ${addressText(config)} (${scopeOf(config)})`,
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

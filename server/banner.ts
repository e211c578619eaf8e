/**
 * What a terminal shows after the start: the address of the server, and commands that can be copied
 * and run in this order (docs/spec/command-line.md 8.1).
 *
 * @module
 */

import { workingDirectory } from "../lib/environment.ts";
import { poolPath } from "../lib/backend/refs.ts";
import { scopeOf, type ServeConfig } from "./config.ts";
import { summary } from "./check.ts";
import { quote } from "./quote.ts";

/** What the commands depend on, in addition to the configuration. */
export interface Place {
  /** The server's address. */
  readonly url: string;
  /** The certificate's fingerprint; null without TLS. */
  readonly fingerprint: string | null;
  /** The pool directory. */
  readonly dir: string;
  /** Whether it is the default directory. */
  readonly isDefault: boolean;
  /** Warnings for the operator. */
  readonly warnings: readonly string[];
}

/** The pool in the commands. */
const DEMO = "demo";
const DATA = `'{"hello":"world"}'`;

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false; // The command that creates the pool will report the problem.
  }
}

/** A path that is valid in any directory. */
function absolute(path: string): string {
  const here = workingDirectory();
  return path.startsWith("/") || here === undefined ? path : `${here}/${path}`;
}

/** The options with which `pls` reaches the server. */
function clientFlags({ token, tls }: ServeConfig): string {
  const secret = token === null
    ? ""
    : token.path === null
    ? " --token '<token>'"
    : ` --token-file ${quote(absolute(token.path))}`;
  if (tls === null) return secret;
  return `${secret} ${
    tls.kind === "self-signed" ? "--tls-skip-verify" : `--tls-ca ${quote(absolute(tls.certPath))}`
  }`;
}

/** The same for curl. */
function curlFlags({ token, tls }: ServeConfig): string {
  const trust = tls === null
    ? ""
    : tls.kind === "self-signed"
    ? " -k"
    : ` --cacert ${quote(absolute(tls.certPath))}`;
  if (token === null) return trust;
  return token.path === null
    ? `${trust} -H 'Authorization: Bearer <token>'`
    : `${trust} -H "Authorization: Bearer $(cat ${quote(absolute(token.path))})"`;
}

/** Commands that work, in this order, on the server's machine. */
export function samples(config: ServeConfig, { url, dir, isDefault }: Place): string[] {
  const { access, token, tls } = config;
  const pool = quote(`${url}/${DEMO}`);
  const flags = clientFlags(config);
  const curl = `curl${curlFlags(config)}`;
  const here = isDefault ? "" : ` --dir ${quote(absolute(dir))}`;
  const path = `${url}/v0/pools/${DEMO}`;
  const tail = `${curl} -N ${quote(`${path}/tail?timeout_ms=1000`)}`;
  // Our client refuses to send a token unencrypted over a network; curl does not.
  const clear = token !== null && tls === null && scopeOf(config) === "network reachable";
  const lines: string[] = [];
  if (access === "read-only") lines.push(`pls feed ${DEMO} --create${here} ${DATA}`);
  else if (!exists(poolPath(DEMO, dir))) lines.push(`pls pool create ${DEMO}${here}`);
  if (access !== "read-only" && !clear) lines.push(`pls feed ${pool}${flags} ${DATA}`);
  if (access !== "write-only" && !clear) lines.push(`pls follow ${pool}${flags} --tail 10`);
  if (lines.length > 0) lines.push("");
  if (access !== "read-only") {
    lines.push(
      `${curl} -H 'Content-Type: application/json' \\`,
      `  --data '{"data":{"hello":"world"}}' ${quote(`${path}/append`)}`,
    );
  }
  if (access === "read-only" || (clear && access === "read-write")) lines.push(tail);
  return lines;
}

/** What a terminal shows after the start. */
export function banner(config: ServeConfig, place: Place): string {
  const { token, tls } = config;
  const { url, fingerprint, warnings } = place;
  const remarks = warnings.map((text) => `Warning: ${text}`);
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
    ...samples(config, place).map((line) => line === "" ? "" : `  ${line}`),
    "",
    ...remarks,
    "Press Ctrl-C to stop.",
    "",
  ].join("\n");
}

/**
 * The output of `serve init`: the commands for both sides, as a document and as text
 * (docs/spec/command-line.md 8.3).
 *
 * @module
 */

import { workingDirectory } from "../lib/environment.ts";
import { machineNames } from "./certificate.ts";
import { parseBind, shownHost } from "./config.ts";
import type { InitResult } from "./init.ts";
import { quote } from "./quote.ts";

/** The commands for both sides, one line each. */
export function initCommands(result: InitResult): {
  readonly server: string[];
  readonly client: string[];
  readonly curl: string[];
} {
  const { hostname } = parseBind(result.bind);
  const url = `https://${shownHost(hostname)}:${result.port}`;
  const token = quote(result.paths.token_file);
  const cert = quote(result.paths.tls_cert);
  const trust = `--token-file ${token} --tls-ca ${cert}`;
  const auth = `--cacert ${cert} -H 'Authorization: Bearer <token>'`;
  return {
    server: [
      `plasmite serve --bind ${result.bind} --allow-non-loopback --token-file ${token} ` +
      `--tls-cert ${cert} --tls-key ${quote(result.paths.tls_key)}`,
    ],
    client: [
      `plasmite feed ${url}/demo ${trust} '{"hello":"world"}'`,
      `plasmite follow ${url}/demo ${trust} --tail 10`,
    ],
    curl: [
      `curl -sS ${auth} -H 'Content-Type: application/json' ` +
      `--data '{"data":{"hello":"world"}}' ${url}/v0/pools/demo/append`,
      `curl -sSN ${auth} '${url}/v0/pools/demo/tail?timeout_ms=5000'`,
    ],
  };
}

/** The result for programs. */
export function initJson(result: InitResult): {
  readonly init: {
    readonly artifact_paths: InitResult["paths"];
    readonly client_commands: string[];
    readonly curl_client_commands: string[];
    readonly server_commands: string[];
    readonly tls_fingerprint: string;
  };
} {
  const { server, client, curl } = initCommands(result);
  return {
    init: {
      artifact_paths: result.paths,
      client_commands: client,
      curl_client_commands: curl,
      server_commands: server,
      tls_fingerprint: result.fingerprint,
    },
  };
}

/** The host that other machines should use. */
function publicHost(bind: string): string {
  const { hostname } = parseBind(bind);
  const shown = shownHost(hostname);
  if (hostname !== "0.0.0.0" && shown !== "[::1]" && !hostname.startsWith("127.")) return shown;
  const address = machineNames().addresses.find((one) => !one.includes(":"));
  return address ?? "YOUR-HOST";
}

/** The result for people. */
export function initText(result: InitResult): string {
  const cwd = `${workingDirectory() ?? ""}/`;
  const show = (path: string): string =>
    path.startsWith(cwd) ? `./${path.slice(cwd.length)}` : path;
  const { token_file, tls_cert, tls_key, access_key } = result.paths;
  const dirs = new Set([token_file, tls_cert, tls_key].map((p) => p.slice(0, p.lastIndexOf("/"))));
  const url = `https://${publicHost(result.bind)}:${result.port}`;
  const token = quote(show(token_file));
  const cert = quote(show(tls_cert));
  const trust = [`    --token-file ${token} \\`, `    --tls-ca ${cert}`];
  return [
    result.replaced ? "Secure serving re-initialized." : "Secure serving initialized.",
    "With these files a server may be reached from other machines: token and TLS are required.",
    "",
    ...(dirs.size === 1 ? [`Output directory: ${show([...dirs][0] ?? "")}`] : []),
    result.replaced ? "Files overwritten:" : "Files created:",
    `  token: ${show(token_file)}`,
    `  cert:  ${show(tls_cert)}`,
    `  key:   ${show(tls_key)}`,
    `  access key: ${show(access_key)} (for other machines, see below)`,
    "",
    `Fingerprint: ${result.fingerprint}`,
    "",
    "Start the server:",
    "",
    "  pls serve \\",
    `    --bind ${result.bind} \\`,
    "    --allow-non-loopback \\",
    `    --token-file ${token} \\`,
    `    --tls-cert ${cert} \\`,
    `    --tls-key ${quote(show(tls_key))}`,
    "",
    "On another machine, paste the line of the access key once:",
    "",
    `  pls access connect ${url}`,
    "",
    "Without a saved key (copy the token and the certificate there by a safe way):",
    "",
    `  pls feed ${url}/demo \\`,
    ...trust.slice(0, 1),
    `${trust[1]} \\`,
    `    '{"hello":"world"}'`,
    "",
    `  pls follow ${url}/demo \\`,
    ...trust.slice(0, 1),
    `${trust[1]} \\`,
    "    --tail 10",
    "",
    `MCP: ${url}/mcp`,
    "",
    `  curl --cacert ${cert} -H 'Authorization: Bearer <token>' \\`,
    "    -H 'Content-Type: application/json' \\",
    `    --data '{"data":{"hello":"world"}}' ${url}/v0/pools/demo/append`,
    "",
    "The token is in the file only; it is never printed.",
    "",
  ].join("\n");
}

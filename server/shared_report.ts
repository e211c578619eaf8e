/**
 * What the start and the check of two listeners tell (docs/spec/sharing.md 2.4).
 *
 * @module
 */

import { StateFolder } from "./access/folder.ts";
import { readIdentity } from "./access/identity.ts";
import { type CheckJson, checkJson } from "./check.ts";
import { fingerprintOf } from "./certificate.ts";
import { addressText } from "./config.ts";
import { quote } from "./quote.ts";
import type { SharedConfig } from "./shared_config.ts";
import type { RunningShared } from "./sharing.ts";

function isWild(address: string): boolean {
  return address.startsWith("0.0.0.0:") || address.startsWith("[::]:");
}

/** What the operator may not expect. */
export function sharedWarnings({ remote, identity }: RunningShared): string[] {
  const warnings: string[] = [];
  if (isWild(remote)) {
    warnings.push("The remote listener is on all interfaces: every network this machine is in.");
  }
  if (!identity.coversAddress) {
    warnings.push(
      `The certificate does not name the host of ${identity.sharedAddress}: clients will refuse it.`,
    );
  }
  return warnings;
}

/** The lines that are printed after the start, to a terminal or not. */
export function readyLines(dir: string, running: RunningShared): string {
  const { local, remote, remoteUrl } = running;
  return [
    `Serving ${dir}`,
    `Local: http://${local}/ui`,
    `Remote listener: ${remote}`,
    ...sharedWarnings(running).map((warning) => `Warning: ${warning}`),
    remoteUrl === null
      ? "Remote HTTPS: unknown; start with an address that others can use: " +
        `plasmite --dir ${quote(dir)} serve https://HOST:${
          remote.slice(remote.lastIndexOf(":") + 1)
        }`
      : `Remote HTTPS: ${remoteUrl}`,
    `Create access: plasmite --dir ${quote(dir)} access invite NAME`,
    "",
  ].join("\n");
}

/**
 * Looks at a configuration of two listeners; nothing is made.
 *
 * @throws {PlasmiteError} Permission, Corrupt, Io
 */
export async function checkShared(
  config: SharedConfig,
  poolDir: string,
): Promise<{ readonly json: { readonly check: CheckJson }; readonly text: string }> {
  const folder = StateFolder.find(poolDir);
  const identity = folder === null ? null : await readIdentity(folder);
  const local = addressText(config.local);
  const remote = addressText(config.remote);
  const sharedAddress = config.sharedAddress ?? config.remembered;
  const { check } = checkJson({
    config: { ...config, ...config.local, loopback: true, tls: null },
    fingerprint: null,
    warnings: [],
  });
  const auth = config.token === null
    ? "access keys"
    : `access keys, bearer token (${config.token.from})`;
  // A certificate that this start would replace is not the one to compare with.
  const lasting = config.pair === undefined && config.frontCert === undefined ? identity : null;
  const fingerprint = lasting?.fingerprint ?? null;
  const json = {
    ...check,
    auth,
    tls: "enabled" as const,
    tls_fingerprint: lasting === null ? null : await fingerprintOf(lasting.cert, poolDir),
    mode: "two-listeners" as const,
    local,
    remote,
    shared_address: sharedAddress,
    fingerprint,
  };
  const text = [
    "Configuration valid: two listeners.",
    "",
    `  Local:   http://${local} (this machine, no credentials)`,
    `  Remote:  ${remote} (TLS; ${auth}; access ${config.access})`,
    `  Address: ${sharedAddress ?? "not known; give one as in plasmite serve https://HOST:9743"}`,
    `  Key:     ${fingerprint ?? "made at the first start"}`,
    ...(isWild(remote) ? ["  Warning: The remote listener is on all interfaces."] : []),
    "",
  ].join("\n");
  return { json: { check: json }, text };
}

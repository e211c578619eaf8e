/**
 * Asks a server whether it takes an access key (docs/spec/sharing.md 1.7). What an answer means is
 * decided here only.
 *
 * @module
 */

import type { AccessKey } from "../access/key.ts";
import { RemoteError } from "../backend/http/error.ts";
import { Transport } from "../backend/http/transport.ts";
import { PlasmiteError } from "../errors.ts";
import type { Json } from "./output.ts";

/** The largest answer, in bytes. */
const LARGEST = 64 * 1024;

/** What a server said. */
export interface Check {
  /** Whether it answered, as the server that the key names. */
  readonly reachable: boolean;
  /** Whether it takes the key; null when it did not say. */
  readonly accepted: boolean | null;
  /** What is wrong, or null. */
  readonly error: PlasmiteError | null;
}

/**
 * Asks the server.
 *
 * @param destination its address, as saved
 * @param key null to find out only whether it can be reached
 */
export async function checkAccess(destination: string, key: AccessKey | null): Promise<Check> {
  const transport = new Transport(destination, { accessKey: key });
  try {
    const { accepted } = await transport.json("/v0/access/check", { limit: LARGEST });
    if (accepted === true) return { reachable: true, accepted: true, error: null };
    return accepted === false ? refused() : unknownServer();
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error;
    if (error.status === 0) return { reachable: false, accepted: null, error };
    if (error.status === 401) return refused(error);
    // A guard in front of everything else, which says what it does not like.
    if (error.status === 403) return { reachable: true, accepted: null, error };
    return unknownServer(error);
  } finally {
    transport.release();
  }
}

function refused(cause?: RemoteError): Check {
  const error = new PlasmiteError("Permission", "the server does not take this access key", {
    hint: "It was revoked, has expired, or is for another server. Ask for a new one.",
    ...(cause === undefined ? {} : { causes: [cause.message], cause }),
  });
  return { reachable: true, accepted: false, error };
}

function unknownServer(cause?: RemoteError): Check {
  const error = new PlasmiteError("Io", "the server does not know access keys", {
    hint: cause !== undefined && cause.status >= 300 && cause.status < 400
      ? "The server redirects, which is never followed. Use the final address."
      : "Check the address. Servers with a token of their own take --token-file and --tls-ca.",
    ...(cause === undefined ? {} : { causes: [cause.message], cause }),
  });
  return { reachable: true, accepted: null, error };
}

/** The document of `connect` and `status`. */
export interface StatusReport {
  /** The address. */
  readonly destination: string;
  /** Whether a key is saved. */
  readonly isSaved: boolean;
  /** What the server said; null when it was not asked. */
  readonly check: Check;
  /** Whether the commands for agents belong to it. */
  readonly withCommands: boolean;
}

/** The commands that make two agents use the server's MCP endpoint; they contain no secret. */
function mcpSetupCommands(destination: string): string[] {
  const url = `${new URL(destination).origin}/mcp`;
  return [
    `claude mcp add --scope user --transport http plasmite '${url}'`,
    `codex mcp add plasmite --url '${url}' --oauth-client-registration dcr --oauth-resource '${url}'`,
  ];
}

/** The document for programs (docs/spec/sharing.md 9.3). */
export function statusDocument(report: StatusReport): Json {
  const { destination, isSaved, check: { reachable, accepted, error } } = report;
  return {
    accepted: isSaved ? accepted : null,
    browser_trust: null,
    browser_trust_problem: null,
    credentials_saved: isSaved,
    destination,
    mcp_setup_commands: report.withCommands ? mcpSetupCommands(destination) : null,
    problem: error === null ? null : problemOf(error),
    reachable,
  };
}

/** One line that says what is wrong. */
export function problemOf({ message, causes }: PlasmiteError): string {
  return causes?.[0] === undefined ? message : `${message}: ${causes[0]}`;
}

/**
 * How to reach a server: `--token`, `--token-file`, `--tls-ca`, `--tls-skip-verify`
 * (docs/spec/command-line.md 9), and for NATS `--creds`, `--tls-cert`, `--tls-key`, `--tls-first` and
 * `--domain` (docs/spec/jetstream.md 2). Loaded only when a command names a server.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import type { AccessOptions } from "../backend/resolve.ts";
import type { CommandContext } from "./context.ts";
import { SERVER_ACCESS } from "./table.ts";
import { readTokenFile } from "./token_file.ts";

/** The token of `--token` or `--token-file`, or undefined. Throws Usage. */
async function readToken(context: CommandContext): Promise<string | undefined> {
  const { args } = context;
  const path = args.text("token-file");
  // For some commands --token is the token of a lease, which is not for the server.
  const flag = context.at.at(-1)?.flags?.find(({ name }) => name === "token");
  const token = flag?.group === SERVER_ACCESS ? args.text("token") : undefined;
  if (path === undefined) return token;
  if (token !== undefined) {
    throw new PlasmiteError("Usage", "--token cannot be combined with --token-file", {
      hint: "Use --token-file alone.",
    });
  }
  const advice = "Put the token into the file, or make one with `plasmite serve init`.";
  const text = readTokenFile(path, "token-file", advice);
  const { checkToken } = await import("../backend/http/token.ts");
  checkToken(text, path);
  return text;
}

/** The options of this command line; warns where certificates are not checked. */
export async function serverOptions(context: CommandContext): Promise<AccessOptions> {
  const { args } = context;
  const token = await readToken(context);
  const caFile = args.text("tls-ca");
  const skipVerify = args.has("tls-skip-verify");
  if (skipVerify) {
    context.stderr.text(
      "warning: --tls-skip-verify accepts any certificate; anyone in between can read and change messages\n",
    );
  }
  return {
    ...(token !== undefined && { token }),
    clientName: `plasmite ${context.name}`,
    credsFile: args.text("creds"),
    domain: args.text("domain"),
    tls: {
      ...(caFile !== undefined && { caFile }),
      skipVerify,
      certFile: args.text("tls-cert"),
      keyFile: args.text("tls-key"),
      first: args.has("tls-first"),
    },
  };
}

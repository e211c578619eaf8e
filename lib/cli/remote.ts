/**
 * The way to a server from the command line: `--token`, `--token-file`, `--tls-ca`,
 * `--tls-skip-verify` (docs/spec/command-line.md 9). `lib/remote` is loaded only when a pool is
 * remote.
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../errors.ts";
import type { HttpBackend } from "../backend/http.ts";
import type { RemoteClient, RemoteClientOptions } from "../remote/client.ts";
import type { CommandContext } from "./context.ts";

const FLAGS = ["token", "token-file", "tls-ca", "tls-skip-verify"];

/** Refuses the four options when the pool is local. Throws Usage. */
export function refuseRemoteFlags(context: CommandContext): void {
  if (!FLAGS.some((name) => context.args.has(name))) return;
  throw new PlasmiteError(
    "Usage",
    `${context.name} remote auth/TLS flags require a remote http(s) pool ref`,
    { hint: "Use http(s)://host:port/<pool>, or leave the flags out for a local pool." },
  );
}

/** The token of `--token` or `--token-file`, or undefined. Throws Usage. */
async function readToken(context: CommandContext): Promise<string | undefined> {
  const { args } = context;
  const path = args.text("token-file");
  if (path === undefined) return args.text("token");
  if (args.has("token")) {
    throw new PlasmiteError("Usage", "--token cannot be combined with --token-file", {
      hint: "Use --token-file alone.",
    });
  }
  let token: string;
  try {
    token = Deno.readTextFileSync(path).trim();
  } catch (error) {
    throw new PlasmiteError("Usage", "failed to read token file", {
      hint: "Check the path of --token-file and its permissions.",
      path,
      causes: [messageOf(error)],
      cause: error,
    });
  }
  if (token !== "") {
    const { checkToken } = await import("../backend/http/token.ts");
    checkToken(token, path);
    return token;
  }
  throw new PlasmiteError("Usage", "token file is empty", {
    hint: "Put the token into the file, or make one with `plasmite serve init`.",
    path,
  });
}

/** Command lines that were warned; one may connect twice. */
const warned = new WeakSet<CommandContext>();

/** What the options of this command line say about reaching a server. */
async function transportOptions(context: CommandContext): Promise<RemoteClientOptions> {
  const { args } = context;
  const token = await readToken(context);
  const caFile = args.text("tls-ca");
  const skipVerify = args.has("tls-skip-verify");
  if (skipVerify && !warned.has(context)) {
    warned.add(context);
    context.stderr.text(
      "warning: --tls-skip-verify accepts any certificate; anyone in between can read and change messages\n",
    );
  }
  return {
    ...(token !== undefined && { token }),
    tls: { ...(caFile !== undefined && { caFile }), skipVerify },
  };
}

/** A client for the server at `origin`, by the options of this command line. */
export async function connect(context: CommandContext, origin: string): Promise<RemoteClient> {
  const options = await transportOptions(context);
  const { RemoteClient } = await import("../remote/client.ts");
  return new RemoteClient(origin, options);
}

/** The server at `origin`, by the options of this command line. */
export async function connectBackend(
  context: CommandContext,
  origin: string,
): Promise<HttpBackend> {
  const options = await transportOptions(context);
  const { HttpBackend } = await import("../backend/http.ts");
  return new HttpBackend(origin, options);
}

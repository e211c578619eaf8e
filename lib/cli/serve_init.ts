/**
 * `plasmite serve init`: creates token, keys and certificate (docs/spec/command-line.md 8.3).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { escapeControls } from "../visible.ts";
import type { CommandContext } from "./context.ts";
import type { Json } from "./output.ts";
import { SERVE_DEFAULTS } from "./serve_flags.ts";

/** The interface of `server/commands.ts`, which `lib/cli` may not import. */
interface ServerModule {
  init(options: Options): Promise<{ readonly json: Json; readonly text: string }>;
}

interface Options {
  readonly bind: string;
  readonly outputDir: string;
  readonly tokenFile: string;
  readonly tlsCert: string;
  readonly tlsKey: string;
  readonly force: boolean;
}

/** Refuses options of `serve` that would have no effect. Throws Usage. */
function refuseParentOptions(context: CommandContext): void {
  const { parent } = context.args;
  if (parent === undefined) return;
  for (const name of parent.names()) {
    if (parent.text(name) === SERVE_DEFAULTS[name]) continue;
    throw new PlasmiteError("Usage", `serve init does not use parent option --${name}`, {
      hint: `Leave --${name} out, or put it behind \`init\` if it belongs there.`,
    });
  }
}

/** Runs `serve init`. */
export async function run(context: CommandContext, server: ServerModule): Promise<number> {
  refuseParentOptions(context);
  const { args } = context;
  const { json, text } = await server.init({
    bind: args.text("bind") ?? "0.0.0.0:9700",
    outputDir: args.text("output-dir") ?? ".",
    tokenFile: args.text("token-file") ?? "plasmite-auth-token.txt",
    tlsCert: args.text("tls-cert") ?? "plasmite-tls-cert.pem",
    tlsKey: args.text("tls-key") ?? "plasmite-tls-key.pem",
    force: args.has("force"),
  });
  if (context.isForPeople) context.stdout.text(text.split("\n").map(escapeControls).join("\n"));
  else context.document(json);
  return 0;
}

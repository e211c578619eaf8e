/**
 * One call for both: pools in a directory, or pools of a server.
 *
 * @module
 */

import { Client, type ClientOptions } from "../client/client.ts";
import { PlasmiteError } from "../errors.ts";
import { RemoteClient, type RemoteClientOptions } from "./client.ts";

/**
 * A client for `target`: a server for `http(s)://…`, else the pools of a directory (a path or a
 * `file:` URL; nothing means the default directory).
 *
 * @example
 * ```ts
 * import { connect } from "@plasmite/core";
 *
 * using client = connect(Deno.makeTempDirSync()) as import("@plasmite/core").Client;
 * console.assert(client.listPools().length === 0);
 * ```
 *
 * @throws {PlasmiteError} Usage for any other scheme, and as both constructors
 */
export function connect(
  target?: string | URL,
  options: RemoteClientOptions & ClientOptions = {},
): Client | RemoteClient {
  if (target === undefined) return new Client(options);
  const text = String(target);
  if (/^https?:\/\//i.test(text)) return new RemoteClient(text, options);
  if (text.startsWith("file://")) {
    return new Client({ ...options, poolDir: decodeURIComponent(new URL(text).pathname) });
  }
  if (text.includes("://")) {
    throw new PlasmiteError("Usage", "unsupported target", {
      hint: "Use http(s)://host:port for a server, or the path of a directory.",
    });
  }
  return new Client({ ...options, poolDir: text });
}

/**
 * Finds out why a connection failed if the error does not say. Loaded only in that case.
 *
 * @module
 */

import { startTimer } from "../../timers.ts";
import type { NatsServer } from "./ref.ts";

/** How long to wait for a server's greeting, in milliseconds. */
const GREETING_MS = 1_000;

/** The greeting that a server sends on a connection without TLS. */
export interface Greeting {
  /** Whether the server requires a client certificate. */
  readonly tls_verify?: boolean;
}

/** The greeting of a server; null without a valid one, undefined if no connection could be made. */
export async function greetingOf(server: NatsServer): Promise<Greeting | null | undefined> {
  let connection: Deno.TcpConn;
  try {
    connection = await Deno.connect({ hostname: server.host, port: server.port });
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return undefined;
  }
  let isOpen = true;
  const close = (): void => {
    if (isOpen) connection.close();
    isOpen = false;
  };
  const timer = startTimer(close, GREETING_MS);
  try {
    const buffer = new Uint8Array(64 * 1024);
    const length = await connection.read(buffer) ?? 0;
    const text = new TextDecoder().decode(buffer.subarray(0, length));
    const json = /^INFO (\{.*\})\s*$/m.exec(text)?.[1];
    return json === undefined ? null : JSON.parse(json) as Greeting;
  } catch {
    return null; // The server closed the connection or sent something else.
  } finally {
    clearTimeout(timer);
    close();
  }
}

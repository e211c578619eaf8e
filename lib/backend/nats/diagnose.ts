/**
 * Looks why a connection failed without an error that says it. Loaded only then.
 *
 * @module
 */

import { startTimer } from "../../timers.ts";
import type { NatsServer } from "./ref.ts";

/** How long a server may take to greet, in milliseconds. */
const GREETING_MS = 1_000;

/** What a server says when it is connected to without TLS. */
export interface Greeting {
  /** Whether it wants a client certificate. */
  readonly tls_verify?: boolean;
}

/** The greeting of a server; null when it says nothing, undefined when nobody is there. */
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
    return null; // It closed the connection, or it said something else.
  } finally {
    clearTimeout(timer);
    close();
  }
}

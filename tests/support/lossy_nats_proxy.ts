/**
 * A proxy in front of a NATS server that loses, changes or delays messages for its clients.
 *
 * @module
 */

import { pause } from "./patience.ts";

/** A message on its way to a client: its line in the protocol, and headers and payload as text. */
export interface PassingMessage {
  readonly line: string;
  readonly text: string;
}

/**
 * What becomes of a message: true to pass it on, false to lose it, another text of its length, or
 * for how many milliseconds to hold it up while others pass.
 */
export type Fate = (message: PassingMessage) => boolean | string | number;

const CR_LF = 2;

/** Passes bytes on; the server's messages as their fate is. */
export class LossyNatsProxy {
  /** Where clients connect to. */
  readonly port: number;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #fate: Fate;

  /** Starts to pass on to a port of this machine. */
  constructor(target: number, fate: Fate) {
    this.#listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    this.port = this.#listener.addr.port;
    this.#fate = fate;
    void this.#serve(target);
  }

  async #serve(target: number): Promise<void> {
    for await (const client of this.#listener) {
      const server = await Deno.connect({ port: target, hostname: "127.0.0.1" });
      this.#open.add(client).add(server);
      const toServer = new Outlet(server);
      const toClient = new Outlet(client);
      void this.#read(client, toServer, (bytes) => void toServer.send(bytes));
      let held: Uint8Array<ArrayBuffer> = new Uint8Array();
      void this.#read(server, toClient, (bytes) => {
        held = this.#sort(join([held, bytes]), toClient);
      });
    }
  }

  /** Sends what is complete; returns what must wait for more. */
  #sort(bytes: Uint8Array<ArrayBuffer>, outlet: Outlet): Uint8Array<ArrayBuffer> {
    const now: Uint8Array<ArrayBuffer>[] = [];
    let at = 0;
    for (;;) {
      const lineEnd = bytes.indexOf(0x0a, at);
      if (lineEnd < 0) break;
      const line = latin(bytes.subarray(at, lineEnd - 1));
      const isMessage = /^H?MSG /.test(line);
      const length = isMessage ? Number(line.split(" ").at(-1)) + CR_LF : 0;
      const end = lineEnd + 1 + length;
      if (end > bytes.length) break;
      const body = bytes.subarray(lineEnd + 1, end);
      const fate = !isMessage || this.#fate({ line, text: latin(body) });
      if (fate === true) now.push(bytes.subarray(at, end));
      else if (typeof fate === "number") void outlet.send(bytes.slice(at, end), fate);
      else if (fate !== false) {
        const changed = Uint8Array.from(fate, (character) => character.charCodeAt(0));
        if (changed.length !== body.length) throw new Error("another length");
        now.push(bytes.subarray(at, lineEnd + 1), changed);
      }
      at = end;
    }
    void outlet.send(join(now));
    return bytes.slice(at);
  }

  /** Reads until a connection ends; then its counterpart ends as well. */
  async #read(
    from: Deno.TcpConn,
    to: Outlet,
    pass: (bytes: Uint8Array<ArrayBuffer>) => void,
  ): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
        pass(buffer.slice(0, n));
        await to.sent;
      }
    } catch (error) {
      if (!isCut(error)) throw error;
    }
    for (const one of [from, to.connection]) if (this.#open.delete(one)) one.close();
  }

  /** Ends all connections. */
  end(): void {
    this.#listener.close();
    for (const one of this.#open) one.close();
    this.#open.clear();
  }
}

/** Sends one piece after the other. */
class Outlet {
  readonly connection: Deno.TcpConn;
  /** Resolves when everything so far was sent. */
  sent: Promise<void> = Promise.resolve();

  constructor(connection: Deno.TcpConn) {
    this.connection = connection;
  }

  /** Sends bytes, after some milliseconds. */
  async send(bytes: Uint8Array<ArrayBuffer>, afterMs = 0): Promise<void> {
    if (afterMs > 0) await pause(afterMs);
    this.sent = this.sent.then(async () => {
      for (let sent = 0; sent < bytes.length;) {
        sent += await this.connection.write(bytes.subarray(sent));
      }
    }).catch((error) => {
      if (!isCut(error)) throw error;
    });
    await this.sent;
  }
}

/** Whether an error says that a connection has ended. */
function isCut(error: unknown): boolean {
  const { BadResource, BrokenPipe, ConnectionReset, Interrupted } = Deno.errors;
  return [BadResource, BrokenPipe, ConnectionReset, Interrupted].some((one) =>
    error instanceof one
  );
}

function join(parts: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Bytes as text, a character for each. */
function latin(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

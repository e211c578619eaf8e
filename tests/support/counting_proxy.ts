/**
 * A proxy in front of a server that counts the bytes of its answers.
 *
 * @module
 */

/** Passes bytes on and counts them. */
export class CountingProxy {
  /** Where clients connect to. */
  readonly port: number;
  /** The bytes that the server has sent. */
  received = 0;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.TcpConn>();

  /** Starts to pass on to a port of this machine. */
  constructor(target: number) {
    this.#listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    this.port = this.#listener.addr.port;
    void this.#serve(target);
  }

  async #serve(target: number): Promise<void> {
    for await (const client of this.#listener) {
      const server = await Deno.connect({ port: target, hostname: "127.0.0.1" });
      this.#open.add(client).add(server);
      void this.#pass(client, server, () => {});
      void this.#pass(server, client, (bytes) => this.received += bytes);
    }
  }

  async #pass(
    from: Deno.TcpConn,
    to: Deno.TcpConn,
    count: (bytes: number) => void,
  ): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
        count(n);
        for (let sent = 0; sent < n;) sent += await to.write(buffer.subarray(sent, n));
      }
    } catch {
      // The other direction was closed.
    }
    for (const one of [from, to]) if (this.#open.delete(one)) one.close();
  }

  /** Ends all connections. */
  end(): void {
    this.#listener.close();
    for (const one of this.#open) one.close();
    this.#open.clear();
  }
}

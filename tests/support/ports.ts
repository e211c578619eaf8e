/**
 * Ports for servers that cannot choose one themselves.
 *
 * @module
 */

const given = new Set<number>();

/**
 * A port that nobody uses. It lies below those that systems give to outgoing connections, so that it is
 * still free when the server starts, and when it starts again.
 */
export function freePort(): number {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    if (given.has(port)) continue;
    try {
      Deno.listen({ port, hostname: "127.0.0.1" }).close();
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse) continue;
      throw error;
    }
    given.add(port);
    return port;
  }
}

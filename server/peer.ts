/**
 * Which address a request came from, where its listener tells.
 *
 * @module
 */

const peers = new WeakMap<Request, string>();

/** Notes the address of whoever sent a request. */
export function notePeer(request: Request, { hostname }: Deno.NetAddr): void {
  peers.set(request, hostname);
}

/** The address that a request came from; empty where that is not known. */
export function peerOf(request: Request): string {
  return peers.get(request) ?? "";
}

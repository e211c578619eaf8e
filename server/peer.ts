/**
 * The client address of a request, if its listener records it.
 *
 * @module
 */

const peers = new WeakMap<Request, string>();

/** Records the client address of a request. */
export function notePeer(request: Request, { hostname }: Deno.NetAddr): void {
  peers.set(request, hostname);
}

/** The client address of a request; empty if unknown. */
export function peerOf(request: Request): string {
  return peers.get(request) ?? "";
}

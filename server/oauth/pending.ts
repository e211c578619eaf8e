/**
 * Approval pages that are open: in memory only, each good for one answer (docs/spec/sharing.md 5).
 *
 * @module
 */

import { newSecret } from "../../lib/access/key.ts";
import { networkOf } from "../access/limit.ts";
import { nowSeconds } from "../access/keys.ts";
import { tooMany } from "./error.ts";

/** How long a page may stay open, in seconds. */
export const PENDING_LIFE = 600;
/** Most open pages of one client, */
const MOST_OF_CLIENT = 8;
/** of one source address, */
const MOST_OF_SOURCE = 32;
/** and of all. */
const MOST = 1024;

/** What a client asks for. */
export interface Wanted {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly challenge: string;
  readonly resource: string;
  readonly state: string | null;
}

/** An open page. */
export interface Pending extends Wanted {
  /** What the browser's cookie must be. */
  readonly cookie: string;
  readonly source: string;
  readonly expiresAt: number;
}

/** The open pages of one server. */
export class PendingApprovals {
  readonly #open = new Map<string, Pending>();

  /**
   * Opens one.
   *
   * @returns the name of the request, and the cookie of the browser
   * @throws {OAuthError} 429 when too many are open
   */
  open(wanted: Wanted, address: string): { readonly request: string; readonly cookie: string } {
    const now = nowSeconds();
    const source = networkOf(address);
    let ofClient = 0;
    let ofSource = 0;
    for (const [request, pending] of this.#open) {
      if (pending.expiresAt <= now) this.#open.delete(request);
      else {
        if (pending.clientId === wanted.clientId) ofClient++;
        if (pending.source === source) ofSource++;
      }
    }
    const full = ofClient >= MOST_OF_CLIENT || ofSource >= MOST_OF_SOURCE ||
      this.#open.size >= MOST;
    if (full) throw tooMany(60);
    const request = newSecret();
    const cookie = newSecret();
    this.#open.set(request, { ...wanted, cookie, source, expiresAt: now + PENDING_LIFE });
    return { request, cookie };
  }

  /** Takes one: whatever comes of it, it cannot be used again. */
  take(request: string): Pending | null {
    const pending = this.#open.get(request);
    this.#open.delete(request);
    return pending === undefined || pending.expiresAt <= nowSeconds() ? null : pending;
  }
}

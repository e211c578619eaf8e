/**
 * Open approval pages: in memory only, each valid for one answer (docs/spec/sharing.md 5).
 *
 * @module
 */

import { newSecret } from "../../lib/access/key.ts";
import { networkOf } from "../access/limit.ts";
import { nowSeconds } from "../access/keys.ts";
import { tooMany } from "./error.ts";

/** How long a page may stay open, in seconds. */
export const PENDING_LIFE = 600;
/** The maximum number of open pages of one client, */
const MOST_OF_CLIENT = 8;
/** of one source address, */
const MOST_OF_SOURCE = 32;
/** and in total. */
const MOST = 1024;

/** What a client requests. */
export interface Wanted {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly challenge: string;
  readonly resource: string;
  readonly state: string | null;
}

/** An open page. */
export interface Pending extends Wanted {
  /** The required value of the browser's cookie. */
  readonly cookie: string;
  readonly source: string;
  readonly expiresAt: number;
}

/** The open pages of one server. */
export class PendingApprovals {
  readonly #open = new Map<string, Pending>();

  /**
   * Opens a page.
   *
   * @returns the request's name and the browser's cookie
   * @throws {OAuthError} 429 if too many are open
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

  /** Takes a page; it cannot be used again, whatever the outcome. */
  take(request: string): Pending | null {
    const pending = this.#open.get(request);
    this.#open.delete(request);
    return pending === undefined || pending.expiresAt <= nowSeconds() ? null : pending;
  }
}

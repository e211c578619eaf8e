/**
 * Grants that say the same of every pool, and what a grant comes to in the words of `--access`.
 *
 * @module
 */

import type { Access, Grant, Need } from "./types.ts";

function allows(access: Access, need: Need): boolean {
  return access === "read-write" || access === (need === "read" ? "read-only" : "write-only");
}

/** A grant of the same rights on every pool. */
export function accessGrant(subject: string, access: Access): Grant {
  return { subject, can: (need) => allows(access, need) };
}

/** A grant of what both `grant` and `access` allow. */
export function cappedGrant(grant: Grant, access: Access): Grant {
  if (access === "read-write") return grant;
  return {
    subject: grant.subject,
    can: (need, pool) => allows(access, need) && grant.can(need, pool),
  };
}

/** What a grant comes to, on one pool or on some pool; null when it allows neither half. */
export function accessOf(grant: Grant, pool?: string): Access | null {
  const reads = grant.can("read", pool);
  const writes = grant.can("append", pool) || grant.can("admin", pool);
  if (reads) return writes ? "read-write" : "read-only";
  return writes ? "write-only" : null;
}

/**
 * Grants that apply to all pools alike, and their equivalents in terms of `--access`.
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

/** A grant of the rights that both `grant` and `access` allow. */
export function cappedGrant(grant: Grant, access: Access): Grant {
  if (access === "read-write") return grant;
  const { subject, ended } = grant;
  return {
    subject,
    ended,
    can: (need, pool) => allows(access, need) && grant.can(need, pool),
  };
}

/** The access that a grant gives to one pool, or to at least one; null for none. */
export function accessOf(grant: Grant, pool?: string): Access | null {
  const reads = grant.can("read", pool);
  const writes = grant.can("append", pool) || grant.can("admin", pool);
  if (reads) return writes ? "read-write" : "read-only";
  return writes ? "write-only" : null;
}

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

const DEAD = ".dead";

/**
 * Whether a grant allows something with a pool. The dead pool of a pool, `P.dead`, goes with the pool:
 * it has messages of it only (docs/spec/coordination.md 13.8).
 *
 * @param pool the name without suffix
 */
export function mayUse(grant: Grant, need: Need, pool: string): boolean {
  for (let name = pool;; name = name.slice(0, -DEAD.length)) {
    if (grant.can(need, name)) return true;
    if (!name.endsWith(DEAD) || name.length === DEAD.length) return false;
  }
}

/** The rights that a grant gives on one pool, or on at least one. */
export function needsOf(grant: Grant, pool?: string): readonly Need[] {
  const needs: readonly Need[] = ["read", "append", "admin"];
  return needs.filter((need) => pool === undefined ? grant.can(need) : mayUse(grant, need, pool));
}

/** The access that a grant gives to one pool, or to at least one; null for none. */
export function accessOf(grant: Grant, pool?: string): Access | null {
  const can = (need: Need): boolean =>
    pool === undefined ? grant.can(need) : mayUse(grant, need, pool);
  const reads = can("read");
  const writes = can("append") || can("admin");
  if (reads) return writes ? "read-write" : "read-only";
  return writes ? "write-only" : null;
}

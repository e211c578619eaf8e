/**
 * All tools.
 *
 * @module
 */

import type { Grant } from "../lib/types.ts";
import type { Tool } from "./tool.ts";
import { claim } from "./tools/claim.ts";
import { done } from "./tools/done.ts";
import { feed } from "./tools/feed.ts";
import { fetch } from "./tools/fetch.ts";
import { poolCreate } from "./tools/pool_create.ts";
import { poolDelete } from "./tools/pool_delete.ts";
import { poolInfo } from "./tools/pool_info.ts";
import { poolList } from "./tools/pool_list.ts";
import { read } from "./tools/read.ts";
import { take } from "./tools/take.ts";
import { wait } from "./tools/wait.ts";

/** The tools, in the order in which hosts show them. */
export const TOOLS: readonly Tool[] = [
  poolList,
  poolCreate,
  poolInfo,
  poolDelete,
  feed,
  fetch,
  read,
  wait,
  claim,
  take,
  done,
];

/** The tools that a caller may use on at least one pool. */
export function offered(grant: Grant): readonly Tool[] {
  return TOOLS.filter((tool) => isOffered(tool, grant));
}

/** Whether a caller may use a tool on some pool. */
export function isOffered({ needs, also }: Tool, grant: Grant): boolean {
  return grant.can(needs) && (also === undefined || grant.can(also));
}

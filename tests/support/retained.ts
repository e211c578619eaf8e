/**
 * Age limit, trim and numbers of a pool on disk, behind the back of whoever has it open.
 *
 * @module
 */

import { openToAppend } from "../../lib/pool/mending.ts";
import type { Ring } from "../../lib/pool/ring.ts";
import { disk } from "../../lib/storage/file.ts";
import { inPlace, type Steps } from "../../lib/storage/steps.ts";

/** Does some work on the file at `path`. */
export function onRing<T>(path: string, work: (ring: Ring) => Steps<T>): T {
  const ring = openToAppend(disk, path);
  try {
    return inPlace(work(ring));
  } finally {
    ring.close();
  }
}

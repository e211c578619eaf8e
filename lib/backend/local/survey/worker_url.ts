/**
 * Where the module of the worker is. Packages have another file in this place, which holds the whole
 * of it as a text (`.ci/package/worker.ts`).
 *
 * @module
 */

import { isGranted } from "../../../environment.ts";

/** Returns the URL; null if modules may not be loaded from there without a question. */
export function workerUrl(): string | null {
  const url = new URL("./worker.ts", import.meta.url);
  const isOurs = url.protocol === "file:"
    ? isGranted({ name: "read", path: new URL("../../../../", url) })
    : isGranted({ name: "import" });
  return isOurs ? url.href : null;
}

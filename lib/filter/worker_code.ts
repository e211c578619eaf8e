/**
 * The text of the module that workers run. A text needs no permission to be read, wherever the
 * program is. Packages have another file in this place, which holds the whole of it with jq
 * (`.ci/package/worker.ts`).
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import { runJqWorker } from "./jq_worker.ts";
import { withChecks } from "./wasm_checks.ts";

/** Returns the text. */
export function workerCode(): string {
  const jq = `${config.imports["jq-wasm"]}/inline`;
  return `import { loadJq } from ${JSON.stringify(jq)};
(${runJqWorker})(globalThis, loadJq, ${withChecks});
`;
}

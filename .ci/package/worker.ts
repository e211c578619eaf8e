/**
 * Puts the text of the workers that run jq into the sources that are bundled: the whole module with
 * jq in it, so that a packaged program finds it without a file, a network or a permission.
 *
 * @module
 */

/** The module of a worker. */
const ENTRY = `import { loadJq } from "jq-wasm/inline";
import { runJqWorker } from "./jq_worker.ts";
import { withChecks } from "./wasm_checks.ts";
runJqWorker(globalThis, loadJq, withChecks);
`;

/**
 * Replaces `lib/filter/worker_code.ts` in a copy of the sources.
 *
 * @param bundled makes one file of an entry and returns its text
 */
export async function embedWorker(
  work: string,
  bundled: (entry: string) => Promise<string>,
): Promise<void> {
  const dir = `${work}/lib/filter`;
  await Deno.writeTextFile(`${dir}/jq_worker_entry.ts`, ENTRY);
  const code = JSON.stringify(await bundled("lib/filter/jq_worker_entry.ts"));
  await Deno.writeTextFile(
    `${dir}/worker_code.ts`,
    `export function workerCode(): string {\n  return ${code};\n}\n`,
  );
}

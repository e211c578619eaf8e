/**
 * Puts the text of the workers into the sources that are bundled: each the whole module, so that a
 * packaged program finds it without a file, a network or a permission.
 *
 * @module
 */

/** The module of the worker that runs jq, with jq in it. */
const JQ = `import { loadJq } from "jq-wasm/inline";
import { runJqWorker } from "./jq_worker.ts";
import { withChecks } from "./wasm_checks.ts";
runJqWorker(globalThis, loadJq, withChecks);
`;

/**
 * Replaces `lib/filter/worker_code.ts` and `lib/backend/local/survey/worker_url.ts` in a copy of the
 * sources.
 *
 * @param bundled makes one file of an entry and returns its text
 */
export async function embedWorkers(
  work: string,
  bundled: (entry: string) => Promise<string>,
): Promise<void> {
  const filter = `${work}/lib/filter`;
  await Deno.writeTextFile(`${filter}/jq_worker_entry.ts`, JQ);
  const jq = JSON.stringify(await bundled("lib/filter/jq_worker_entry.ts"));
  await Deno.writeTextFile(
    `${filter}/worker_code.ts`,
    `export function workerCode(): string {\n  return ${jq};\n}\n`,
  );
  const survey = JSON.stringify(await bundled("lib/backend/local/survey/worker.ts"));
  await Deno.writeTextFile(
    `${work}/lib/backend/local/survey/worker_url.ts`,
    `export function workerUrl(): string {
  return URL.createObjectURL(new Blob([${survey}], { type: "text/javascript" }));
}
`,
  );
}

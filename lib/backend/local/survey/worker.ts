/**
 * What runs in the worker of `helper.ts`: it glances at pools, chunk after chunk, and tells after
 * each that it is done.
 *
 * @module
 */

import { disk } from "../../../storage/file.ts";
import { type SurveyJob, SurveyRecords } from "./records.ts";

/** What the worker sends: which chunk of the oldest job is done, or that the job is over. */
export type SurveyReport = number | "over";

/** The scope of a worker, as far as it is used. */
interface Scope {
  onmessage: ((event: { readonly data: SurveyJob }) => void) | null;
  postMessage(report: SurveyReport): void;
}

/** Serves jobs for ever. */
function serveSurveys(scope: Scope): void {
  scope.onmessage = ({ data }) => {
    const records = new SurveyRecords(data);
    for (let chunk = records.take(); chunk >= 0; chunk = records.take()) {
      records.look(chunk, disk);
      scope.postMessage(chunk);
    }
    scope.postMessage("over");
  };
}

serveSurveys(globalThis as unknown as Scope);

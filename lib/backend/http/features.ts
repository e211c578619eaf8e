/**
 * Checks that a server supports a feature before sending a request in which it would otherwise
 * ignore that feature (docs/spec/coordination.md 13.2).
 *
 * @module
 */

import { PlasmiteError } from "../../errors.ts";
import type { Feature } from "../types.ts";
import type { Transport } from "./transport.ts";

const WORDS: Partial<Record<Feature, string>> = {
  expect: "check expectations",
  key: "check keys",
  id: "recognise ids",
  latest: "find the latest message",
  claim: "give leases",
  cursor: "keep cursors",
  group: "share work",
  retention: "limit the age of messages",
  "skip-corrupt": "go on behind damage",
};

/**
 * Checks that a server has a feature.
 *
 * @throws {PlasmiteError} Usage if it does not; connection errors
 */
export async function checkFeature(transport: Transport, feature: Feature): Promise<void> {
  if (transport.features?.has(feature) === true) return;
  // No request was sent yet, or the last response came from a gateway.
  await transport.bytes("/healthz");
  if (transport.features?.has(feature) === true) return;
  const what = WORDS[feature] ?? feature;
  throw new PlasmiteError("Usage", `this server cannot ${what} (${feature}): it would ignore it`, {
    hint: "Use a newer server, or do without.",
  });
}

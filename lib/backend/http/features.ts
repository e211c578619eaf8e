/**
 * What a server must know before anything is sent that it would otherwise ignore
 * (docs/spec/coordination.md 13.2).
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
};

/**
 * Makes sure that a server has a feature.
 *
 * @throws {PlasmiteError} Usage if it has not; errors of the connection
 */
export async function checkFeature(transport: Transport, feature: Feature): Promise<void> {
  if (transport.features?.has(feature) === true) return;
  // Nothing was sent yet, or the last answer came from a gateway.
  await transport.bytes("/healthz");
  if (transport.features?.has(feature) === true) return;
  const what = WORDS[feature] ?? feature;
  throw new PlasmiteError("Usage", `this server cannot ${what} (${feature}): it would ignore it`, {
    hint: "Use a newer server, or do without.",
  });
}

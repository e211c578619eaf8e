/**
 * `plasmite access untrust`: a command of 1.x on systems whose trust store it edits. This program
 * never edits one (docs/spec/sharing.md 1.7).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";

/** Runs `access untrust`. */
export function run(): number {
  throw new PlasmiteError("Usage", "access untrust is not offered", {
    hint:
      "This program does not change the system's trust store. Remove the certificate there, by " +
      "its SHA-256 fingerprint.",
  });
}

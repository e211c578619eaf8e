/**
 * The error of a record that stands for all records.
 *
 * @module
 */

import { type ErrorContext, PlasmiteError } from "../errors.ts";

/** A Usage error that skipping the record would not cure. */
export class FatalRecordError extends PlasmiteError {
  /** Makes a Usage error. */
  constructor(message: string, context: ErrorContext = {}) {
    super("Usage", message, context);
  }
}

/**
 * The error for a record whose problem affects all records.
 *
 * @module
 */

import { type ErrorContext, PlasmiteError } from "../errors.ts";

/** A Usage error that skipping the record would not solve. */
export class FatalRecordError extends PlasmiteError {
  /** Creates a Usage error. */
  constructor(message: string, context: ErrorContext = {}) {
    super("Usage", message, context);
  }
}

/**
 * Opens a pool on a server, creating it if it is missing.
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../errors.ts";

/** Opens a pool; if that fails with NotFound, creates it and opens it then. */
export async function openOrCreate<P>(
  open: () => Promise<P>,
  create: () => Promise<unknown>,
): Promise<P> {
  try {
    return await open();
  } catch (error) {
    if (!PlasmiteError.is(error, ErrorKind.NotFound)) throw error;
  }
  try {
    await create();
  } catch (error) {
    // Another client created it at the same time: open that one.
    if (!PlasmiteError.is(error, ErrorKind.AlreadyExists)) throw error;
  }
  return await open();
}

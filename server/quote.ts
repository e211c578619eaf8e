/**
 * Quotes what is printed as part of a command.
 *
 * @module
 */

/** Quotes an argument for a POSIX shell. */
export function quote(text: string): string {
  return /^[\w@%+=:,./~-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * For whom a hint is: errors come from everywhere, and some hints help only at a command line.
 *
 * @module
 */

/** Option names, and commands of the program. */
const COMMAND_LINE = /(?:^|[^\w-])--[a-z]|\bplasmite(?:\.exe)? [a-z]|\b[Rr]un the command\b/;

/** Whether a text is for people at a command line. */
export function isForCommandLine(text: string): boolean {
  return COMMAND_LINE.test(text);
}

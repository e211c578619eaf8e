/**
 * Which signals there are to listen to: Deno refuses the others on Windows.
 *
 * @module
 */

const ON_WINDOWS: readonly Deno.Signal[] = ["SIGHUP", "SIGINT", "SIGBREAK"];

/** The signals that ask a program to stop: Ctrl-C, and what a supervisor sends. */
export const ENDING_SIGNALS: readonly Deno.Signal[] = ["SIGINT", "SIGTERM", "SIGBREAK"]
  .filter(isSignalHere);

/** Whether this system has the signal. */
export function isSignalHere(signal: string): signal is Deno.Signal {
  const isWindows = Deno.build.os === "windows";
  return isWindows ? ON_WINDOWS.some((one) => one === signal) : signal !== "SIGBREAK";
}

/**
 * Timers for delays of any length. The platform stores the delay in 32 bits: a delay over 24.8 days
 * fires at once.
 *
 * @module
 */

/** The longest delay of a timer in milliseconds. */
const LONGEST = 0x7fff_ffff;

/**
 * Calls `run` once after `ms` milliseconds, or after 24.8 days if that is sooner; for longer delays
 * the caller checks the clock when it fires. `clearTimeout` cancels it.
 */
export function startTimer(run: () => void, ms: number): ReturnType<typeof setTimeout> {
  return setTimeout(run, ms > 0 ? Math.min(ms, LONGEST) : 0);
}

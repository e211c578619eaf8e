/**
 * Timers that take any number of milliseconds. The platform's own keep the delay in 32 bits: one
 * that is longer than 24.8 days fires at once instead of late.
 *
 * @module
 */

/** The longest delay of a timer in milliseconds. */
const LONGEST = 0x7fff_ffff;

/**
 * Runs `run` once after `ms` milliseconds, or after 24.8 days where that is sooner. Whoever waits
 * longer looks at the clock again when it fires. `clearTimeout` stops it.
 */
export function startTimer(run: () => void, ms: number): ReturnType<typeof setTimeout> {
  return setTimeout(run, ms > 0 ? Math.min(ms, LONGEST) : 0);
}

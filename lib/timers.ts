/**
 * Timers for delays of any length, and the one way to wait for something, a time or a signal. The platform stores the delay in 32 bits: a delay over 24.8 days
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

/**
 * Calls `run` every `ms` milliseconds, until the returned function is called; for what ticks while a
 * program waits. It is the timer of a signal, because the first `setTimeout` or `setInterval` of a
 * process makes Deno load a part of Node: 5 ms, and 3 MB for as long as it runs. In Node it keeps no
 * process alive.
 */
export function every(ms: number, run: () => void): () => void {
  let signal: AbortSignal;
  const next = (): void => {
    signal = AbortSignal.timeout(ms);
    signal.addEventListener("abort", fire, { once: true });
  };
  const fire = (): void => {
    next();
    run();
  };
  next();
  return () => signal.removeEventListener("abort", fire);
}

/**
 * Waits, however long.
 *
 * @param ms milliseconds
 * @throws the signal's reason when it is aborted
 */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  let left = ms;
  for (; left > LONGEST; left -= LONGEST) await pauseOnce(LONGEST, signal);
  await pauseOnce(left, signal);
}

function pauseOnce(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason);
    const aborted = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = startTimer(() => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    }, ms);
    signal?.addEventListener("abort", aborted, { once: true });
  });
}

/**
 * Resolves to true when `start` calls its argument, to false after `ms`; rejects with the signal's
 * reason.
 */
export function waitFor(
  start: (wake: () => void) => void,
  stop: (wake: () => void) => void,
  ms: number | undefined,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const finish = (): void => {
      if (timer !== undefined) clearTimeout(timer);
      signal?.removeEventListener("abort", aborted);
      stop(wake);
    };
    const wake = (): void => {
      finish();
      resolve(true);
    };
    const aborted = (): void => {
      finish();
      reject(signal?.reason);
    };
    if (signal?.aborted) return reject(signal.reason);
    signal?.addEventListener("abort", aborted, { once: true });
    if (ms !== undefined) {
      timer = startTimer(() => {
        finish();
        resolve(false);
      }, ms);
    }
    start(wake);
  });
}

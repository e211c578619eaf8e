/**
 * Who may use workers again: while a server runs, its workers wait for the next filter; otherwise
 * they end with their work, so that they keep no process alive.
 *
 * @module
 */

let holders = 0;
const listeners = new Set<() => void>();

/** Keeps workers waiting until the returned function is called. */
export function holdWorkers(): () => void {
  holders++;
  let held = true;
  return () => {
    if (!held) return;
    held = false;
    if (--holders > 0) return;
    for (const listener of listeners) listener();
  };
}

/** Whether workers may wait for more work. */
export function workersAreHeld(): boolean {
  return holders > 0;
}

/** Calls `listener` when the last holder is gone. */
export function onWorkersReleased(listener: () => void): void {
  listeners.add(listener);
}

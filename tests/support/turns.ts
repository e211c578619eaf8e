/** How many turns others have while something is done. */

/** Counts how often the process gets round to a timer while `work` runs. */
export async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  const tick = (): void => {
    turns++;
    timer = setTimeout(tick, 0);
  };
  let timer = setTimeout(tick, 0);
  try {
    await work();
  } finally {
    clearTimeout(timer);
  }
  return turns;
}

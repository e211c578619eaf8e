/**
 * A command that runs while keys are claimed: the lease is renewed meanwhile, and released at the
 * end; if it is lost, the command is ended (docs/spec/coordination.md 13.5).
 *
 * @module
 */

import type { Coordination } from "../backend/coordination.ts";
import type { LeaseState, PoolHandle } from "../backend/types.ts";
import { ErrorKind, messageOf, PlasmiteError } from "../errors.ts";
import { pause } from "../timers.ts";
import type { CommandContext } from "./context.ts";
import { printNotice } from "./notices.ts";
import { TapChild } from "./tap_child.ts";

/** How long a command that lost its lease may take to end, in milliseconds. */
const LAST_WORDS = 10_000;
/** How soon a renewal that failed is tried again, in milliseconds. */
const AGAIN = 1_000;

/** Runs the command and returns its exit code. Throws Conflict if the lease was lost. */
export async function runClaimed(
  context: CommandContext,
  pool: PoolHandle,
  coordination: Coordination,
  lease: LeaseState,
  words: readonly string[],
): Promise<number> {
  const { keys, holder, token } = lease;
  let child: TapChild;
  try {
    child = TapChild.start(words, {
      inherit: true,
      env: {
        PLASMITE_KEYS: JSON.stringify(keys),
        PLASMITE_POOL: context.args.required("POOL"),
        PLASMITE_TOKEN: String(token),
      },
    });
  } catch (error) {
    await coordination.release({ keys, holder, token });
    throw error;
  }
  const done = new AbortController();
  const lost = keep(coordination, lease, done.signal);
  try {
    const first = await Promise.race([child.ending, lost]);
    if (first instanceof PlasmiteError) {
      await end(child);
      throw first;
    }
    done.abort();
    // A renewal on its way may still find that the lease was lost while the command ran.
    const late = await lost;
    if (late !== null) throw late;
    await release(context, pool, coordination, lease);
    return first === null ? (await child.ending).code : first.code;
  } finally {
    done.abort();
    await child.release();
  }
}

/**
 * Renews the lease until `signal`.
 *
 * @returns why the lease was lost; null if it was not
 */
async function keep(
  coordination: Coordination,
  { keys, holder, token, untilNs }: LeaseState,
  signal: AbortSignal,
): Promise<PlasmiteError | null> {
  let untilMs = Number(untilNs / 1_000_000n);
  const third = Math.max(0, untilMs - Date.now()) / 3;
  let delay = third;
  for (;;) {
    try {
      await pause(delay, signal);
    } catch {
      return null; // The command has ended.
    }
    try {
      const renewed = await coordination.claim({ keys, holder, token });
      untilMs = Number(renewed.untilNs / 1_000_000n);
      delay = third;
    } catch (error) {
      if (PlasmiteError.is(error, ErrorKind.Conflict)) return error;
      // Whatever it was may pass; without a renewal the lease is over at its time.
      if (PlasmiteError.is(error, ErrorKind.NotFound) || Date.now() >= untilMs) {
        return lostBy(keys, error);
      }
      delay = Math.min(AGAIN, Math.max(0, untilMs - Date.now()));
    }
  }
}

function lostBy(keys: readonly string[], error: unknown): PlasmiteError {
  return new PlasmiteError("Conflict", "Lease lost: it could not be renewed", {
    hint: "Stop working on it, and claim it again.",
    causes: [messageOf(error)],
    cause: error,
    details: { key: keys[0] ?? "" },
  });
}

/** Ends a command whose lease was lost. */
async function end(child: TapChild): Promise<void> {
  child.kill("SIGTERM");
  const late = new AbortController();
  const patience = pause(LAST_WORDS, late.signal).catch(() => {});
  await Promise.race([child.ending, patience]);
  late.abort();
  child.kill("SIGKILL");
  await child.ending;
}

/** Releases the lease at the end. Throws Conflict if another took it while the command ran. */
async function release(
  context: CommandContext,
  pool: PoolHandle,
  coordination: Coordination,
  { keys, holder, token }: LeaseState,
): Promise<void> {
  try {
    await coordination.release({ keys, holder, token });
  } catch (error) {
    if (PlasmiteError.is(error, ErrorKind.Conflict)) throw error;
    printNotice(context, {
      kind: "release_failed",
      message: "The lease could not be released; it ends by itself.",
      pool: context.args.required("POOL"),
      details: { error: messageOf(error), keys, pool_path: pool.path, token },
    });
  }
}

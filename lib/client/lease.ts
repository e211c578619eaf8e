/**
 * Leases of the library: claimed, renewed by themselves, released.
 *
 * @module
 */

import type { LeaseState } from "../backend/types.ts";
import { ErrorKind, PlasmiteError } from "../errors.ts";
import { startTimer } from "../timers.ts";
import type { Access, Reach } from "./access.ts";
import type { ClaimOptions, Lease } from "./coordination.ts";
import { checkOptions, type OptionKinds } from "./option_kinds.ts";
import { checkMs } from "./options.ts";

/** After a failure other than a loss, the next renewal is tried after this part of the rest. */
const SOONER = 4;
/** Nanoseconds in a millisecond. */
const MS = 1_000_000n;

const CLAIM_KINDS: OptionKinds<ClaimOptions> = {
  holder: "string",
  ttlMs: "number",
  waitMs: "checked",
  autoRenew: "boolean",
  signal: "signal",
};

/** Claims keys; see `claim` of a pool. */
export async function claimKeys(
  reach: Reach,
  keys: string | readonly string[],
  options: ClaimOptions,
): Promise<Lease> {
  const checked = checkOptions(options, "claim", CLAIM_KINDS);
  const { holder, ttlMs, autoRenew = true, signal } = checked;
  if (typeof holder !== "string") {
    throw new PlasmiteError("Usage", "A claim needs a holder", {
      hint: "Pass the name of the one who claims as holder.",
    });
  }
  const waitMs = checkMs(checked.waitMs, "waitMs");
  signal?.throwIfAborted();
  const access = (await reach(true)).share();
  try {
    const all = typeof keys === "string" ? [keys] : keys;
    const request = { keys: all, holder, ttlMs, waitMs, signal };
    return new HeldLease(access, await access.coordination.claim(request), autoRenew);
  } catch (error) {
    access.close();
    throw error;
  }
}

/** A lease that is held. */
class HeldLease implements Lease {
  readonly keys: readonly string[];
  readonly holder: string;
  readonly token: bigint;
  readonly shortRetention: boolean;
  readonly #access: Access;
  readonly #autoRenew: boolean;
  readonly #lost = new AbortController();
  #until: number;
  #timer: ReturnType<typeof startTimer> | undefined;
  #renewing: Promise<void> = Promise.resolve();
  #released: Promise<void> | null = null;

  constructor(access: Access, state: LeaseState, autoRenew: boolean) {
    this.keys = state.keys;
    this.holder = state.holder;
    this.token = state.token;
    this.shortRetention = state.shortRetention;
    this.#access = access;
    this.#autoRenew = autoRenew;
    this.#until = untilOf(state);
    this.#schedule((this.#until - Date.now()) / 3);
  }

  get until(): Date {
    return new Date(this.#until);
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** Whether nothing is to be done any more. */
  get #over(): boolean {
    return this.#released !== null || this.signal.aborted;
  }

  /** Schedules the next renewal, or the end of a lease that is not renewed. */
  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#over) return;
    const left = this.#until - Date.now();
    this.#timer = startTimer(() => void this.#due(), this.#autoRenew ? ms : left);
    // A lease alone keeps no process alive.
    Deno.unrefTimer(this.#timer);
  }

  async #due(): Promise<void> {
    if (!this.#autoRenew) {
      if (Date.now() >= this.#until) this.#lose(this.#expired());
      else this.#schedule(0);
      return;
    }
    try {
      await this.renew();
    } catch (error) {
      if (this.#over) return;
      const left = this.#until - Date.now();
      if (left > 0) this.#schedule(left / SOONER);
      else this.#lose(this.#expired(error));
    }
  }

  #expired(cause?: unknown): PlasmiteError {
    return new PlasmiteError("Conflict", "The lease has expired", {
      hint: "Claim the keys again; until then another may have them.",
      details: { key: this.keys[0] ?? null },
      ...(cause === undefined ? {} : { cause }),
    });
  }

  #lose(reason: unknown): void {
    clearTimeout(this.#timer);
    if (this.signal.aborted || this.#released !== null) return;
    this.#lost.abort(reason);
    this.#access.close();
  }

  async renew(): Promise<void> {
    this.signal.throwIfAborted();
    if (this.#released !== null) {
      throw new PlasmiteError("Usage", "The lease was released", { hint: "Claim the keys again." });
    }
    await (this.#renewing = this.#renewing.catch(() => {}).then(() => this.#renew()));
  }

  async #renew(): Promise<void> {
    const { keys, holder, token } = this;
    if (this.#over) return;
    try {
      const state = await this.#access.coordination.claim({ keys, holder, token });
      this.#until = untilOf(state);
      this.#schedule((this.#until - Date.now()) / 3);
    } catch (error) {
      const isLost = PlasmiteError.is(error, ErrorKind.Conflict) ||
        PlasmiteError.is(error, ErrorKind.NotFound);
      if (isLost) this.#lose(error);
      throw error;
    }
  }

  release(): Promise<void> {
    if (this.#released !== null) return this.#released;
    if (this.signal.aborted) return Promise.resolve();
    clearTimeout(this.#timer);
    return this.#released = this.#release();
  }

  async #release(): Promise<void> {
    // A renewal under way is over first.
    await this.#renewing.catch(() => {});
    const { keys, holder, token } = this;
    try {
      if (!this.signal.aborted) await this.#access.coordination.release({ keys, holder, token });
    } finally {
      if (!this.signal.aborted) this.#access.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/** When a lease ends, in milliseconds since 1970. */
function untilOf({ untilNs }: LeaseState): number {
  return Number(untilNs / MS);
}

/**
 * A walk whose start must be searched for first; it has no messages until then.
 *
 * @module
 */

import { MessageView } from "../lite3/message.ts";
import { waitFor } from "../timers.ts";
import type { Bounds, FrameBytes, Gap } from "../types.ts";
import type { Search } from "./last.ts";
import type { Walk } from "./types.ts";

const NO_FRAME: FrameBytes = {
  u8: new Uint8Array(),
  payloadAt: 0,
  payloadLength: 0,
  seqLo: 0,
  seqHi: 0,
  timeLo: 0,
  timeHi: 0,
  seq: 0n,
  timestampNs: 0n,
};

/** Becomes the walk that `begin` finds; waiting performs the search. */
export class LaterWalk implements Walk {
  readonly start: Bounds;
  readonly #begin: (search: Search) => Promise<Walk>;
  readonly #release: () => void;
  readonly #stop = new AbortController();
  #walk: Walk | null = null;
  #searched = 0;
  #beginning: Promise<void> | null = null;
  #failure: { readonly error: unknown } | null = null;

  /**
   * @param start what is currently retained
   * @param begin finds the start; aborted when the walk is closed
   * @param release called once, when the resources of `begin` are no longer needed
   */
  constructor(
    start: Bounds,
    begin: (search: Search) => Promise<Walk>,
    release: () => void = () => {},
  ) {
    this.start = start;
    this.#begin = begin;
    this.#release = release;
  }

  get frame(): FrameBytes {
    return this.#walk?.frame ?? NO_FRAME;
  }

  get message(): MessageView {
    return this.#walk?.message ?? new MessageView();
  }

  get ended(): boolean {
    return this.#walk?.ended ?? this.#stop.signal.aborted;
  }

  get looked(): number {
    return this.#searched + (this.#walk?.looked ?? 0);
  }

  get position(): bigint {
    return this.#walk?.position ?? 0n;
  }

  get evaluating(): boolean {
    return this.#walk?.evaluating ?? (!this.ended && this.#failure === null);
  }

  next(): boolean {
    if (this.#failure !== null) throw this.#failure.error;
    return this.#walk?.next() ?? false;
  }

  takeGap(): Gap | null {
    return this.#walk?.takeGap() ?? null;
  }

  takeUnreadable(): readonly Gap[] {
    return this.#walk?.takeUnreadable() ?? [];
  }

  async wait(ms?: number, signal?: AbortSignal): Promise<boolean> {
    signal?.throwIfAborted();
    if (this.#walk !== null) return await this.#walk.wait(ms, signal);
    if (this.ended || this.#failure !== null) return true;
    const beginning = this.#beginning ??= this.#find();
    return await waitFor((wake) => void beginning.then(wake), () => {}, ms, signal);
  }

  async #find(): Promise<void> {
    try {
      const looked = (): void => void this.#searched++;
      const walk = await this.#begin({ signal: this.#stop.signal, looked });
      if (this.#stop.signal.aborted) walk.close();
      else this.#walk = walk;
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#failure = { error };
    } finally {
      this.#release();
    }
  }

  close(): void {
    if (this.#beginning === null && !this.#stop.signal.aborted) this.#release();
    this.#stop.abort();
    this.#walk?.close();
  }
}

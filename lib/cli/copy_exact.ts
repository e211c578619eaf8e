/**
 * `copy --exact`: each copied message gets a tag that names its origin. After a crash between an
 * append and the cursor, the tags say what was stored (docs/spec/jetstream.md 8).
 *
 * @module
 */

import { advance } from "../backend/advance.ts";
import { addRetagged } from "../backend/retag.ts";
import type { Origin } from "../backend/shipment.ts";
import type { PoolHandle } from "../backend/types.ts";
import { sameData } from "../lite3/equal.ts";
import { MessageView } from "../lite3/message.ts";
import { FrameBatch } from "../pool/batch.ts";
import type { CopyTarget } from "./copy_target.ts";

/** The prefix of the tag of an origin. */
const ORIGIN = "origin:";
/** The size of the first part of the destination that is searched, and the growth of the next. */
const FIRST_PIECE = 1024n;
const GROWTH = 4n;
const LARGEST_PIECE = 16_384n;

/** The source of an exact copy. */
export interface ExactSource {
  readonly pool: PoolHandle;
  /** Its identity: 32 hex digits. */
  readonly identity: string;
  /** Its name in tags. */
  readonly name: string;
}

/** A message of the destination that has the tag of an origin. */
interface Copied {
  readonly origin: bigint;
  /** Its number in the destination. */
  readonly at: bigint;
}

/** A destination with tags of the origin. */
export class ExactTarget implements CopyTarget {
  readonly #target: CopyTarget;
  readonly #to: PoolHandle;
  readonly #from: ExactSource;
  /** Whether the destination keeps the times of messages. */
  readonly #keepsTime: boolean;
  readonly #prefix: string;
  readonly #batch = new FrameBatch();
  /** The destination has no copies up to this number. */
  #searched = 0n;

  /**
   * @param target stores messages and the cursor; owned from now on
   * @param to the destination
   * @param from the source
   * @param keepsTime whether the destination keeps the times of messages
   */
  constructor(target: CopyTarget, to: PoolHandle, from: ExactSource, keepsTime: boolean) {
    this.#target = target;
    this.#to = to;
    this.#from = from;
    this.#keepsTime = keepsTime;
    this.#prefix = `${ORIGIN}${from.name}:`;
  }

  async last(): Promise<Origin | null> {
    const saved = await this.#target.last();
    const { identity } = this.#from;
    const known = saved?.pool === identity ? saved.seq : null;
    const copied = await this.#newest(known);
    if (copied === null || (known !== null && copied <= known)) return saved;
    return { pool: identity, seq: copied };
  }

  /**
   * The newest message of the source that the destination has a copy of; null if there is none.
   * Tags may be of an earlier pool of that name, or of one at another place.
   */
  async #newest(known: bigint | null): Promise<bigint | null> {
    const retained = await this.#from.pool.bounds();
    const { newest, oldest } = await this.#to.bounds();
    if (oldest === 0n || retained.oldest === 0n) return null;
    const low = oldest > this.#searched ? oldest : this.#searched + 1n;
    let size = FIRST_PIECE;
    for (let until = newest; until >= low;) {
      const from = until - size + 1n > low ? until - size + 1n : low;
      for (const copied of (await this.#copiesIn(from, until)).reverse()) {
        const { origin } = copied;
        // The source no longer has what was copied last: nothing newer was copied.
        if (origin === known && origin < retained.oldest) return origin;
        if (origin < retained.oldest || origin > retained.newest) continue;
        if (await this.#isSame(copied)) return origin;
      }
      until = from - 1n;
      if (size < LARGEST_PIECE) size *= GROWTH;
    }
    this.#searched = newest;
    return null;
  }

  /** The messages of the destination with a tag of the source's name, in order. */
  async #copiesIn(from: bigint, until: bigint): Promise<Copied[]> {
    const found: Copied[] = [];
    const walk = await this.#to.select({ from, until });
    try {
      while (await advance(walk)) {
        // A copy of a copy has the tags of both.
        const tag = walk.message.tags().findLast((one) => one.startsWith(ORIGIN)) ?? "";
        const seq = tag.startsWith(this.#prefix) ? tag.slice(this.#prefix.length) : "";
        if (/^\d{1,19}$/.test(seq)) found.push({ origin: BigInt(seq), at: walk.frame.seq });
      }
    } finally {
      walk.close();
    }
    return found;
  }

  /** Whether a message is the copy of the source's message with that number. */
  async #isSame({ at, origin }: Copied): Promise<boolean> {
    const frame = await this.#to.get(at);
    const original = frame === null ? null : await this.#from.pool.get(origin);
    if (frame === null || original === null) return false;
    if (this.#keepsTime && original.timestampNs !== frame.timestampNs) return false;
    return sameData(new MessageView().openStored(original), new MessageView().openStored(frame));
  }

  async store(batch: FrameBatch, pool: string, seqs: readonly bigint[]): Promise<void> {
    const tagged = this.#batch;
    tagged.clear();
    for (const [i, seq] of seqs.entries()) {
      const tag = this.#prefix + seq;
      addRetagged(
        tagged,
        batch.payload(i),
        (tags) => [...tags, tag],
        { lo: batch.timeLo(i), hi: batch.timeHi(i) },
      );
    }
    await this.#target.store(tagged, pool, seqs);
  }

  close(): void {
    this.#target.close();
  }
}

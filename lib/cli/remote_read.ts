/**
 * Reads a server's pool for `follow`, `duplex` and `fetch` (docs/spec/command-line.md 3, 5.8).
 *
 * @module
 */

import type { FrameSource, PoolReader } from "../backend/source.ts";
import { ErrorKind, PlasmiteError } from "../errors.ts";
import { MessageView } from "../lite3/message.ts";
import type { CommandContext } from "./context.ts";
import { explainMissing } from "./missing.ts";
import type { RemoteRef } from "./refs.ts";
import { connect } from "./remote.ts";
import type { Bounds } from "../types.ts";

/** Refuses options that make no sense for a server's pool. Throws Usage. */
function refuse(context: CommandContext, option: string, hint: string): void {
  if (!context.args.has(option)) return;
  throw new PlasmiteError("Usage", `remote ${context.name} does not support --${option}`, { hint });
}

/**
 * Opens a pool of a server for reading; it goes on by itself when the connection breaks later.
 *
 * @throws {PlasmiteError} Usage for options that are refused; what the server reports, with a hint
 *   for a missing pool
 */
export async function openRemoteReader(
  context: CommandContext,
  ref: RemoteRef,
): Promise<PoolReader> {
  refuse(context, "create", "A pool on a server is created server-side: plasmite pool create.");
  refuse(context, "no-notify", "The server notices new messages by itself; leave it out.");
  const client = await connect(context, ref.origin);
  const reader = client.reader(ref.pool, {
    onTrouble: (error) =>
      context.notice({
        kind: "reconnect",
        message: "The server does not answer; trying again until it does.",
        pool: ref.ref,
        details: { error: error.message, pool_path: reader.path },
      }),
  });
  await client.close();
  // The first bounds tell whether the pool is there, and where "now" is.
  let known: Bounds | null;
  try {
    known = await reader.bounds();
  } catch (error) {
    reader.close();
    throw explainMissing(error, context, ref);
  }
  return {
    path: reader.path,
    bounds: () => {
      const now = known ?? reader.bounds();
      known = null;
      return now;
    },
    open: (seq, notify, until) => reader.open(seq, notify, until),
    close: () => reader.close(),
  };
}

/** One message, or none, as a source. */
class OneFrame implements FrameSource {
  readonly message = new MessageView();
  #next: boolean;

  constructor(readonly cursor: FrameSource["cursor"], exists: boolean) {
    this.#next = exists;
    const { u8, payloadAt, payloadLength, seqLo, seqHi, timeLo, timeHi } = cursor;
    Object.assign(this.message, { seqLo, seqHi, timeLo, timeHi });
    if (!exists) return;
    const dv = new DataView(u8.buffer, u8.byteOffset, u8.byteLength);
    this.message.open(u8, dv, payloadAt, payloadLength);
  }

  next(): boolean {
    const next = this.#next;
    this.#next = false;
    return next;
  }

  takeGap(): null {
    return null;
  }

  wait(): Promise<boolean> {
    return Promise.resolve(true);
  }

  close(): void {}
}

/**
 * Fetches message `seq`; the source is empty when the pool does not hold it.
 *
 * @throws {PlasmiteError} what the server reports, with a hint for a missing pool
 */
export async function fetchRemote(
  context: CommandContext,
  ref: RemoteRef,
  seq: bigint,
): Promise<FrameSource> {
  await using client = await connect(context, ref.origin);
  await using pool = client.uncheckedPool(ref.pool);
  // The stored bytes matter only where they are what is printed; they cost a second request.
  const exact = context.format === "lite3" || context.format === "lite3-raw";
  try {
    const { payload, timestampNs } = await pool.getFrame(seq, exact);
    const [seqHi, seqLo] = halves(seq);
    const [timeHi, timeLo] = halves(timestampNs);
    return new OneFrame({
      u8: payload,
      payloadAt: 0,
      payloadLength: payload.length,
      seqLo,
      seqHi,
      timeLo,
      timeHi,
      seq,
      timestampNs,
    }, true);
  } catch (error) {
    const none = PlasmiteError.is(error, ErrorKind.NotFound) && error.seq !== undefined;
    if (!none) throw explainMissing(error, context, ref);
    const nothing = { payloadAt: 0, payloadLength: 0, seqLo: 0, seqHi: 0, timeLo: 0, timeHi: 0 };
    const empty = { u8: new Uint8Array(), ...nothing, seq: 0n, timestampNs: 0n };
    return new OneFrame(empty, false);
  }
}

function halves(value: bigint): [number, number] {
  return [Number(value >> 32n), Number(value & 0xffff_ffffn)];
}

/**
 * `plasmite export`: complete messages as JSON lines, all that are there or what is new to a cursor
 * (docs/spec/coordination.md 8 and 13.9).
 *
 * @module
 */

import type { Cursor } from "../backend/coordination.ts";
import type { PoolHandle, Walk } from "../backend/types.ts";
import { Buf } from "../bytes.ts";
import { PlasmiteError } from "../errors.ts";
import { printEnvelope } from "../text/envelope.ts";
import type { CommandContext } from "./context.ts";
import { DropNotices } from "./drops.ts";
import { type ExportTarget, openTarget } from "./export_target.ts";
import { noticeUnreadable } from "./notices.ts";
import { findPool, openPool } from "./open.ts";

/** Exit code of an export that lost messages. */
const LOST = 1;
/** Bytes that are collected for one write. */
const WRITE_AT = 128 * 1024;
/** Bytes that are written between two acknowledgements. */
const ACK_AT = 4 * 1024 * 1024;
const NEWLINE = 0x0a;

/** Runs `export`. */
export async function run(context: CommandContext): Promise<number> {
  if (context.format !== undefined && context.format !== "json") {
    throw new PlasmiteError("Usage", "export writes JSON lines only", {
      hint: "Leave out --format; follow prints messages in other formats.",
    });
  }
  const ref = await findPool(context);
  const pool = await openPool(context, ref, { write: false });
  try {
    const name = context.args.text("cursor");
    const dir = context.args.text("cursor-dir");
    const cursor = name === undefined
      ? null
      : await (await pool.coordinate()).cursor(name, { dir });
    try {
      // Only now: a pool that is missing or a cursor in use must not cost the file.
      const target = openTarget(context, ref, cursor !== null);
      try {
        return await new Export(context, pool, cursor, target).run();
      } finally {
        target.close();
      }
    } finally {
      await cursor?.close();
    }
  } finally {
    await pool.close();
  }
}

/** One run of `export` on an open pool. */
class Export {
  readonly #context: CommandContext;
  readonly #pool: PoolHandle;
  readonly #cursor: Cursor | null;
  readonly #target: ExportTarget;
  readonly #drops: DropNotices;
  readonly #out = new Buf(WRITE_AT + 4096);
  /** The last message that was taken and not acknowledged. */
  #last: { readonly seq: bigint; readonly timestampNs: bigint } | null = null;
  /** The number of bytes written since the last acknowledgement. */
  #unsafe = 0;
  /** Whether writing failed: then nothing more is acknowledged. */
  #failed = false;

  constructor(
    context: CommandContext,
    pool: PoolHandle,
    cursor: Cursor | null,
    target: ExportTarget,
  ) {
    this.#context = context;
    this.#pool = pool;
    this.#cursor = cursor;
    this.#target = target;
    this.#drops = new DropNotices(context, pool.path, false);
  }

  /** Exports what is there now; returns the exit code. */
  async run(): Promise<number> {
    const onUnreadable = (error: PlasmiteError): void =>
      noticeUnreadable(this.#context, this.#pool, error);
    const walk = this.#cursor === null
      ? await this.#pool.select({ onUnreadable })
      : await this.#cursor.select({ onUnreadable });
    try {
      await this.#walk(walk);
      await this.#save();
      await this.#cursor?.pass(walk.position);
    } catch (error) {
      if (!this.#failed) await this.#save(); // What came before an error is exported.
      throw error;
    } finally {
      walk.close();
      this.#drops.flush();
    }
    return this.#drops.any ? LOST : 0;
  }

  async #walk(walk: Walk): Promise<void> {
    for (;;) {
      const found = walk.next();
      const gap = walk.takeGap();
      if (gap !== null) this.#drops.lost(gap);
      if (found) {
        this.#take(walk);
        if (this.#unsafe >= ACK_AT) await this.#save();
      } else if (walk.ended) return;
      else {
        this.#write();
        await walk.wait();
      }
    }
  }

  #take(walk: Walk): void {
    const out = this.#out;
    printEnvelope(walk.message, out);
    out.reserve(1);
    out.dv.setUint8(out.len++, NEWLINE);
    const { seq, timestampNs } = walk.frame;
    this.#last = { seq, timestampNs };
    if (out.len >= WRITE_AT) this.#write();
  }

  #write(): void {
    if (this.#out.len === 0) return;
    this.#failed = true;
    this.#target.write(this.#out.bytes());
    this.#failed = false;
    this.#unsafe += this.#out.len;
    this.#out.clear();
  }

  /** Writes what is collected, and acknowledges it once it is safe. */
  async #save(): Promise<void> {
    this.#write();
    this.#unsafe = 0;
    const last = this.#last;
    if (this.#cursor === null || last === null) return;
    this.#target.sync();
    this.#cursor.deliver(last.seq, last.timestampNs);
    await this.#cursor.ack(last.seq);
    this.#last = null;
  }
}

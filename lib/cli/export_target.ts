/**
 * Where `export` writes: a file, or stdout.
 *
 * @module
 */

import type { PoolRef } from "../backend/resolve.ts";
import { messageOf, PlasmiteError } from "../errors.ts";
import type { CommandContext } from "./context.ts";
import { isSameFile } from "./same_file.ts";

const NEWLINE = 0x0a;
/** How much of a file's end is looked at in one read, for an incomplete line. */
const LOOK_BACK = 64 * 1024;
/** How every line of an export begins. */
const LINE_START = new TextEncoder().encode('{"data":{');

/** A place to write to. */
export interface ExportTarget {
  /** Writes all of it. Throws Io, or `StdoutClosed`. */
  write(bytes: Uint8Array): void;
  /** Makes sure that it stays, as far as the place can promise that. Throws Io. */
  sync(): void;
  /** Releases the file. */
  close(): void;
}

/**
 * Opens what `--output` names.
 *
 * @param continues whether the file is appended to, instead of beginning anew
 * @throws {PlasmiteError} Usage for the pool's own file, Io
 */
export function openTarget(
  context: CommandContext,
  ref: PoolRef,
  continues: boolean,
): ExportTarget {
  const path = context.args.text("output");
  if (path === undefined || path === "-") return new StdoutTarget(context);
  refuseOwnFile(path, ref);
  return new FileTarget(path, continues);
}

/** Truncating the file of the pool would destroy it. */
function refuseOwnFile(path: string, ref: PoolRef): void {
  if (ref.isRemote || !leadsTo(path, ref.path)) return;
  throw new PlasmiteError("Usage", "the output is the file of the pool itself", {
    path,
    hint: "Choose another file for --output.",
  });
}

function leadsTo(output: string, pool: string): boolean {
  try {
    return isSameFile(output, pool);
  } catch {
    return false; // The output does not exist yet, or opening it will tell what is wrong.
  }
}

class StdoutTarget implements ExportTarget {
  readonly #context: CommandContext;

  constructor(context: CommandContext) {
    this.#context = context;
  }

  write(bytes: Uint8Array): void {
    this.#context.stdout.write(bytes);
  }

  sync(): void {}

  close(): void {}
}

class FileTarget implements ExportTarget {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #isRegular: boolean;

  constructor(path: string, continues: boolean) {
    this.#path = path;
    this.#file = this.#try(() =>
      Deno.openSync(path, { read: continues, write: true, create: true, truncate: !continues })
    );
    this.#isRegular = this.#try(() => this.#file.statSync().isFile);
    try {
      if (continues && this.#isRegular) this.#try(() => this.#endLine());
    } catch (error) {
      this.#file.close();
      throw error;
    }
  }

  #try<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw new PlasmiteError("Io", "failed to write the export", {
        path: this.#path,
        hint: "Check the path of --output, its permissions, and the space that is left.",
        causes: [messageOf(error)],
        cause: error,
      });
    }
  }

  /**
   * Goes to the end. An incomplete line there is what an export that was stopped has left: its message
   * was not acknowledged, and is written again.
   */
  #endLine(): void {
    const file = this.#file;
    const end = file.seekSync(0, Deno.SeekMode.End);
    let from = end;
    let tail: Uint8Array = new Uint8Array(0);
    let at = -1;
    while (from > 0 && at < 0) {
      const length = Math.min(LOOK_BACK, from);
      from -= length;
      tail = new Uint8Array(length);
      file.seekSync(from, Deno.SeekMode.Start);
      for (let got = 0; got < length;) {
        const n = file.readSync(tail.subarray(got));
        if (n === null) throw new Error("the file became shorter");
        got += n;
      }
      at = tail.lastIndexOf(NEWLINE);
    }
    const start = from + at + 1;
    if (start === end) {
      file.seekSync(end, Deno.SeekMode.Start);
      return;
    }
    const begun = tail.subarray(at + 1, at + 1 + LINE_START.length);
    if (begun.every((byte, i) => byte === LINE_START[i])) {
      file.truncateSync(start);
      file.seekSync(start, Deno.SeekMode.Start);
      return;
    }
    file.seekSync(end, Deno.SeekMode.Start); // Somebody else's line: it is ended, not lost.
    file.writeSync(new Uint8Array([NEWLINE]));
  }

  write(bytes: Uint8Array): void {
    this.#try(() => {
      for (let done = 0; done < bytes.length;) {
        done += this.#file.writeSync(bytes.subarray(done));
      }
    });
  }

  sync(): void {
    if (this.#isRegular) this.#try(() => this.#file.syncSync());
  }

  close(): void {
    this.#file.close();
  }
}

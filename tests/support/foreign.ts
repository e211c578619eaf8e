/**
 * Another program's append to a pool file, from the format description alone: under the file's lock,
 * in the order of stores of docs/spec/format.md 3.5.
 *
 * @module
 */

import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { type Mapping, refAppendAll } from "./ref_writer.ts";

/** A file on disk as the other program sees it. */
export function mapFile(file: Deno.FsFile): Mapping {
  return {
    read: (at, length) => {
      const bytes = new Uint8Array(length);
      file.seekSync(at, Deno.SeekMode.Start);
      for (let done = 0; done < length;) {
        const got = file.readSync(bytes.subarray(done));
        if (got === null) break;
        done += got;
      }
      return bytes;
    },
    write: (bytes, at) => {
      file.seekSync(at, Deno.SeekMode.Start);
      for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
    },
  };
}

/** Appends one message; returns its sequence number. */
export function foreignAppend(file: Deno.FsFile, data: object, tags: readonly string[]): bigint {
  const batch = new FrameBatch(256);
  batch.beginFrame();
  messageFromValue(batch.encoder, data, tags);
  batch.endFrame(0, 0);
  file.lockSync(true);
  try {
    const time = Temporal.Now.instant().epochNanoseconds;
    return refAppendAll(mapFile(file), batch.payload(0), time);
  } finally {
    file.unlockSync();
  }
}

/** Opens a pool file as the other program does, appends, and closes it. */
export function foreignAppendTo(path: string, data: object, tags: readonly string[]): bigint {
  using file = Deno.openSync(path, { read: true, write: true });
  return foreignAppend(file, data, tags);
}

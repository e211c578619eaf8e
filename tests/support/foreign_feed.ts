/**
 * A writer of another program, from the format description alone: `foreign_feed.ts PATH COUNT TAG…`
 * appends `{"foreign":i}` with the tags, each under the file's lock, and prints each number. It
 * pauses between appends until its input ends.
 *
 * @module
 */

import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { refAppendAll } from "./ref_writer.ts";

const [path = "", count = "1", ...tags] = Deno.args;
const file = Deno.openSync(path, { read: true, write: true });
const map = {
  read: (at: number, length: number): Uint8Array<ArrayBuffer> => {
    const bytes = new Uint8Array(length);
    file.seekSync(at, Deno.SeekMode.Start);
    for (let done = 0; done < length;) {
      const got = file.readSync(bytes.subarray(done));
      if (got === null) break;
      done += got;
    }
    return bytes;
  },
  write: (bytes: Uint8Array, at: number): void => {
    file.seekSync(at, Deno.SeekMode.Start);
    for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
  },
};
for (let i = 0; i < Number(count); i++) {
  const batch = new FrameBatch(256);
  batch.beginFrame();
  messageFromValue(batch.encoder, { foreign: i }, tags);
  batch.endFrame(0, 0);
  file.lockSync(true);
  const seq = refAppendAll(map, batch.payload(0), Temporal.Now.instant().epochNanoseconds);
  file.unlockSync();
  Deno.stdout.writeSync(new TextEncoder().encode(`${seq}\n`));
  await new Promise((resolve) => setTimeout(resolve, 5));
}
file.close();

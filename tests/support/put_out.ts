/**
 * Writes the bytes of a file to a standard stream through lib/stdio.ts, in runs of many lengths, in
 * place and asynchronously in turn: `put_out.ts stdout|stderr FILE [SEED]`.
 *
 * @module
 */

import { StandardStream } from "../../lib/stdio.ts";

const [name, path = "", seed = "1"] = Deno.args;
const stream = name === "stderr" ? StandardStream.stderr : StandardStream.stdout;
const bytes = Deno.readFileSync(path);
let state = Number(seed);
const below = (most: number): number => {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fff_ffff;
  return state % most;
};
for (let at = 0; at < bytes.length;) {
  const end = Math.min(bytes.length, at + 1 + below([20, 3000, 200_000][below(3)] ?? 1));
  const run = bytes.subarray(at, end);
  switch (below(3)) {
    case 0:
      stream.writeSync(run);
      break;
    case 1:
      await stream.write(run);
      break;
    default:
      // What is written in place meanwhile comes behind it.
      void stream.write(run);
  }
  at = end;
}
await stream.write(new Uint8Array(0));

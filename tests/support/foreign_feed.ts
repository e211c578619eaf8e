/**
 * A writer of another program, from the format description alone: `foreign_feed.ts PATH COUNT TAG…`
 * appends `{"foreign":i}` with the tags, each under the file's lock, and prints each number. It
 * pauses between appends until its input ends.
 *
 * @module
 */

import { foreignAppend } from "./foreign.ts";

const [path = "", count = "1", ...tags] = Deno.args;
const file = Deno.openSync(path, { read: true, write: true });
for (let i = 0; i < Number(count); i++) {
  const seq = foreignAppend(file, { foreign: i }, tags);
  Deno.stdout.writeSync(new TextEncoder().encode(`${seq}\n`));
  await new Promise((resolve) => setTimeout(resolve, 5));
}
file.close();

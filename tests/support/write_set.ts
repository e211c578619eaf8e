/**
 * Says that it is there, and writes a set of one file into a directory.
 *
 * @module
 */

import { writeSet } from "../../server/write_set.ts";

const [dir = ""] = Deno.args;
Deno.stdout.writeSync(new TextEncoder().encode("begin\n"));
writeSet([{ path: `${dir}/a`, text: "a", mode: 0o600 }], true);

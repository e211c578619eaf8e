/**
 * Filters judge messages before their checksums are looked at. What a program gets must still be
 * what was written: a damaged message that matches is an error, and so is one that cannot be read.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { Client, PlasmiteError, type TailOptions } from "../../mod.ts";
import { LocalBackend } from "../../lib/backend/local.ts";
import { withDir } from "../support/processes.ts";
import { specCheck } from "../support/spec_checker.ts";

/** A pool of messages 1 to 20 with `n`, some text and one tag, and the file. */
function makePool(path: string): Uint8Array<ArrayBuffer> {
  using client = new Client();
  using pool = client.createPool(path, 65536);
  for (let n = 1; n <= 20; n++) {
    pool.append({ n, text: "some text" }, [n % 2 === 0 ? "even" : "odd"]);
  }
  return Deno.readFileSync(path);
}

/** Where message `seq` begins in the file, and its length. */
function payloadOf(file: Uint8Array, seq: bigint): { at: number; bytes: Uint8Array } {
  const ringAt = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(40, true));
  const found = specCheck(file, false).messages.find((one) => one.seq === seq);
  assert(found !== undefined);
  return { at: ringAt + found.at + 64, bytes: found.payload };
}

/** The numbers delivered, and the message and number of the error that ended it. */
async function read(path: string, options: TailOptions): Promise<(number | string)[]> {
  using client = new Client();
  using pool = client.openPool<{ n: number }>(path);
  const got: (number | string)[] = [];
  try {
    for await (const { data } of pool.tail({ sinceSeq: 1n, timeoutMs: 0, ...options })) {
      got.push(data.n);
    }
  } catch (error) {
    if (!PlasmiteError.is(error)) throw error;
    got.push(`${error.message} ${error.seq}`);
  }
  return got;
}

const DAMAGED = "malformed frame in the retained ring 8";

Deno.test("a damaged message that a filter selects is an error, not another text", () =>
  withDir(async (dir) => {
    const path = `${dir}/p.plasmite`;
    const file = makePool(path);
    const { at, bytes } = payloadOf(file, 8n);
    const text = new TextDecoder("latin1").decode(bytes).indexOf("some text");
    file[at + text] = 0x53; // "Some text"
    Deno.writeFileSync(path, file);
    assert.deepEqual(await read(path, { where: [".data.n == 7", ".data.n < 9"] }), [7]);
    assert.deepEqual(await read(path, { where: [".data.n >= 7"] }), [7, DAMAGED]);
    assert.deepEqual(await read(path, { tags: ["even"] }), [2, 4, 6, DAMAGED]);
    // What jq itself must judge was checked before.
    const byJq = await read(path, { where: [".data.n | tostring | length == 1"] });
    assert.equal(byJq.at(-1), DAMAGED);
    assert.deepEqual(await read(path, {}), [1, 2, 3, 4, 5, 6, 7, DAMAGED]);
  }));

Deno.test("a damaged message that is not selected does not end a search for others", () =>
  withDir(async (dir) => {
    const path = `${dir}/p.plasmite`;
    const file = makePool(path);
    const { at, bytes } = payloadOf(file, 8n);
    const text = new TextDecoder("latin1").decode(bytes).indexOf("some text");
    file[at + text] = 0x53;
    Deno.writeFileSync(path, file);
    assert.deepEqual(await read(path, { tags: ["odd"] }), [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    assert.deepEqual(await read(path, { where: [".data.n > 17"] }), [18, 19, 20]);
  }));

Deno.test("a damaged message among the last that a filter selects is an error", () =>
  withDir(async (dir) => {
    const path = `${dir}/p.plasmite`;
    const file = makePool(path);
    const { at, bytes } = payloadOf(file, 16n);
    const text = new TextDecoder("latin1").decode(bytes).indexOf("some text");
    file[at + text] = 0x53;
    Deno.writeFileSync(path, file);
    const pool = await new LocalBackend(dir).open("p");
    const last = async (count: number): Promise<(bigint | string)[]> => {
      const walk = await pool.select({ tags: ["even"], last: count });
      const got: (bigint | string)[] = [];
      try {
        while (!walk.ended) {
          if (walk.next()) got.push(walk.frame.seq);
          else if (!walk.ended) await walk.wait();
        }
      } catch (error) {
        if (!PlasmiteError.is(error)) throw error;
        got.push(`${error.message} ${error.seq}`);
      } finally {
        walk.close();
      }
      return got;
    };
    assert.deepEqual(await last(2), [18n, 20n]);
    assert.deepEqual(await last(4), [14n, "malformed frame in the retained ring 16"]);
    await pool.close();
  }));

Deno.test("a message that a filter cannot read is an error, whatever is searched", () =>
  withDir(async (dir) => {
    const path = `${dir}/p.plasmite`;
    const sound = makePool(path);
    const { at, bytes } = payloadOf(sound, 8n);
    for (let i = 0; i < bytes.length; i += 5) {
      const file = sound.slice();
      file[at + i] = (file[at + i] ?? 0) ^ 0xff;
      Deno.writeFileSync(path, file);
      for (const options of [{ tags: ["odd"] }, { where: [".data.n == 19"] }]) {
        const got = await read(path, options);
        // Either it was read as one that is not meant, or it ended there; never anything else.
        const full = "tags" in options ? [1, 3, 5, 7, 9, 11, 13, 15, 17, 19] : [19];
        const cut = "tags" in options ? [1, 3, 5, 7, DAMAGED] : [DAMAGED];
        assert(
          JSON.stringify(got) === JSON.stringify(full) ||
            JSON.stringify(got) === JSON.stringify(cut),
          `byte ${i}: ${JSON.stringify(got)}`,
        );
      }
    }
  }));

/**
 * Receipts are made from the one before: each has its own number and its own time all the same.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { parse } from "../../lib/cli/args.ts";
import { CommandContext } from "../../lib/cli/context.ts";
import { receiptPrinter } from "../../lib/cli/receipts.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { formatTime } from "../../lib/text/time.ts";

Deno.test("receipts: messages of different times and numbers of every length", async () => {
  const context = new CommandContext(parse(["feed", "p"]));
  let said = "";
  Object.defineProperty(context.stdout, "write", {
    value: (bytes: Uint8Array) => said += new TextDecoder().decode(bytes),
  });
  Object.defineProperty(context.stdout, "isTerminal", { value: false });
  const print = await receiptPrinter(context, ["t"], false);
  const times = [1n, 1n, 1_000_000_000n, 1_000_000_000n, (1n << 32n) + 1n, 1n, 1n];
  const batch = new FrameBatch();
  for (const time of times) {
    batch.beginFrame();
    messageFromValue(batch.encoder, {}, ["t"]);
    batch.endFrame(Number(time & 0xffff_ffffn), Number(time >> 32n));
  }
  for (const first of [1n, 8n, 95n, 999_998n, (1n << 32n) - 3n, 0x7fff_ffff_ffff_fff0n]) {
    said = "";
    print({ batch, from: 0, count: times.length, first, ownTags: false });
    const expected = times.map((time, i) =>
      `{"meta":{"tags":["t"]},"seq":${first + BigInt(i)},"time":"${formatTime(time)}"}\n`
    );
    assert.equal(said, expected.join(""));
  }
});

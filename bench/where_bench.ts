/**
 * The time of a filter per message, in nanoseconds for messages of about 200 bytes; best of several
 * rounds. Run it with `deno run -A bench/where_bench.ts [EXPRESSION…]`.
 *
 * @module
 */

import { compileWhere } from "../lib/filter/where.ts";
import type { MessageView } from "../lib/lite3/message.ts";
import { message } from "../tests/text/message_fixture.ts";

const MESSAGES = 256;
const ROUNDS = 30;

const DEFAULTS = [
  '.data.level == "error" and .data.value > 50000',
  ".data.value % 1000 == 7",
  '.data.message | test("time")',
  '.data.message | test("^up.*[0-9]+ ms$")',
  '.meta.tags | any(. == "b")',
  "(.data.missing? // 0) > 5",
  '.data.labels[] | . == "blue"',
];

function sample(): MessageView[] {
  const levels = ["debug", "info", "warn", "error"];
  return Array.from({ length: MESSAGES }, (_, i) =>
    message(
      JSON.stringify({
        level: levels[i % 4],
        value: (i * 7919) % 100_000,
        service: "checkout",
        host: `node-${i % 16}`,
        message: `upstream timed out after ${i * 3} ms`,
        labels: ["red", "green", "blue"],
        ok: i % 3 === 0,
      }),
      { tags: ["a", "b"] },
    ));
}

const messages = sample();
const expressions = Deno.args.length > 0 ? Deno.args : DEFAULTS;
for (const expression of expressions) {
  const where = await compileWhere(expression);
  let best = Infinity;
  let matched = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const repeat = where.isNative ? 40 : 1;
    matched = 0;
    const start = performance.now();
    if (where.isNative) {
      for (let r = 0; r < repeat; r++) {
        for (const m of messages) if (where.matches(m)) matched++;
      }
    } else {
      const batch = where.batch();
      for (const m of messages) batch.add(m);
      for (const answer of batch.run()) if (answer === true) matched++;
    }
    best = Math.min(best, (performance.now() - start) * 1e6 / (repeat * MESSAGES));
    matched /= repeat;
  }
  const kind = where.isNative ? "bytes" : "jq   ";
  await Deno.stdout.write(
    new TextEncoder().encode(
      `${best.toFixed(0).padStart(8)} ns  ${kind}  ${matched}/${MESSAGES}  ${expression}\n`,
    ),
  );
}

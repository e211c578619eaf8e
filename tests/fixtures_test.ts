/**
 * Real pool files of the reference: read to exactly what they hold, appended to, checked.
 *
 * They are in tests/data/pools; what they hold was read by an independent reader.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Client } from "../mod.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import { inTemp } from "./cli/cli_util.ts";
import { specCheck } from "./support/spec_checker.ts";
import { inCheckout } from "./support/paths.ts";

interface Line {
  readonly seq: number;
  readonly ts: bigint;
  readonly meta: { readonly tags: readonly string[] };
  readonly data: unknown;
}

/** JSON with every integer exact: a bigint where a number would round it. */
function exact(text: string): unknown {
  const revive = (_key: string, value: unknown, context: { readonly source?: string }): unknown => {
    if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
    return /^-?\d+$/.test(context.source ?? "") ? BigInt(context.source ?? "") : value;
  };
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown);
}

const HERE = inCheckout("tests/data/pools/");

/** The lines of a file beside the pools. */
function readLines(file: string): string[] {
  return Deno.readTextFileSync(HERE + file).split("\n").filter((line) => line !== "");
}

const POOLS = [
  "basic-08",
  "basic-1x",
  "empty-08",
  "empty-1x",
  "noindex-08",
  "noindex-1x",
  "padded-08",
  "tinyindex-08",
  "tinyindex-1x",
  "wrapped-08",
  "wrapped-1x",
] as const;

for (const name of POOLS) {
  Deno.test({
    name: `fixture ${name}`,
    fn: async () => {
      const lines = readLines(`${name}.expected.jsonl`).map((line) => exact(line) as Line);
      const dir = Deno.makeTempDirSync();
      try {
        const path = `${dir}/${name}.plasmite`;
        Deno.writeFileSync(path, Deno.readFileSync(`${HERE}${name}.plasmite`));
        const original = Deno.readFileSync(path);
        assert.deepEqual(specCheck(original, false).problems, []);

        using client = new Client(dir);
        using pool = client.openPool(name);
        const { oldestSeq, newestSeq } = pool.bounds();
        assert.equal(oldestSeq, lines[0] === undefined ? null : BigInt(lines[0].seq));
        assert.equal(newestSeq, lines.length === 0 ? null : BigInt(lines.at(-1)?.seq ?? 0));

        const seen: Line[] = [];
        for await (const message of pool.tail({ errorOnGap: true, idleTimeoutMs: 0 })) {
          seen.push({
            seq: Number(message.seq),
            ts: message.timestampNs,
            meta: { tags: [...message.tags] },
            data: message.data,
          });
          // The same by number, and the same once more as JSON text.
          const one = pool.get(message.seq);
          assert.deepEqual(one.data, message.data);
          const envelope = exact(new TextDecoder().decode(one.raw)) as { data: unknown };
          assert.deepEqual(envelope.data, message.data);
        }
        assert.deepEqual(seen, lines);
        assert.deepEqual(Deno.readFileSync(path), original, "reading changes nothing");

        const report = client.validatePool(name);
        // 0.8 leaves the tail where 1.x, and we, would not; nothing is lost by it.
        if (report.status !== "ok") {
          assert.equal(name, "padded-08");
          assert(report.issues.every((issue) => issue.lost === null));
        }

        let next = BigInt(lines.at(-1)?.seq ?? 0);
        for (let i = 0; i < 40; i++) {
          assert.equal(pool.append({ i, big: 2n ** 63n - 1n }, ["ours"]).seq, ++next);
          assert.deepEqual(specCheck(Deno.readFileSync(path), false).problems, []);
        }
        assert.deepEqual(pool.get(next).data, { i: 39, big: 2n ** 63n - 1n });
        const retained = pool.bounds().oldestSeq ?? 0n;
        for (const line of lines) {
          if (BigInt(line.seq) < retained) {
            assert.throws(
              () => pool.get(line.seq),
              (error) =>
                PlasmiteError.is(error, ErrorKind.NotFound) && error.seq === BigInt(line.seq),
            );
          } else assert.deepEqual(pool.get(line.seq).data, line.data);
        }
        assert.equal(client.validatePool(name).status, "ok");
      } finally {
        Deno.removeSync(dir, { recursive: true });
      }
    },
  });
}

Deno.test("fixture basic: what the reference was fed is kept by us as it was by the reference", () =>
  inTemp((dir) => {
    const fed = readLines("basic.in.jsonl");
    using client = new Client(dir);
    using pool = client.createPool("p");
    for (const line of fed) pool.appendJson(new TextEncoder().encode(line));
    const kept = fed.map((_, i) =>
      (exact(new TextDecoder().decode(pool.getJson(i + 1))) as Line).data
    );
    const reference = readLines("basic-1x.expected.jsonl").map((line) =>
      (exact(line) as Line).data
    );
    assert.deepEqual(kept, reference);
  }));

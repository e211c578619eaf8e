/**
 * Trim and age limit beside programs that know nothing of them: those go on reading and appending, and
 * the checker finds nothing wrong after any step.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { checkRing } from "../../lib/pool/check.ts";
import { Cursor } from "../../lib/pool/cursor.ts";
import { beginningAt, settingMaxAge, trimming } from "../../lib/pool/retention.ts";
import { Ring } from "../../lib/pool/ring.ts";
import { inPlace } from "../../lib/storage/steps.ts";
import { CLI } from "../support/paths.ts";
import { until } from "../support/patience.ts";
import { start, withDir } from "../support/processes.ts";
import { refAppendAll } from "../support/ref_writer.ts";
import { batchOf, drain, mapped, newRing, payload, POOL, SCALE } from "../support/rings.ts";
import { specCheck } from "../support/spec_checker.ts";

const HOUR = 3_600_000_000_000n;
const now = (): bigint => Temporal.Now.instant().epochNanoseconds;

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("ours"), n: fc.nat(300), old: fc.boolean() }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("foreign"), n: fc.nat(300), old: fc.boolean() }),
  },
  fc.record({ do: fc.constant("trim"), n: fc.nat(6), old: fc.boolean() }),
  fc.record({ do: fc.constant("limit"), n: fc.nat(2), old: fc.boolean() }),
);

Deno.test("foreign writers append to a pool that is trimmed, stamped and limited; nothing is wrong after any step", () => {
  const met = { trims: 0, limited: 0, emptied: 0 };
  fc.assert(
    fc.property(
      fc.record({
        size: fc.integer({ min: 900, max: 3000 }),
        slots: fc.constantFrom(0, 3, 20),
        first: fc.constantFrom(1n, 1n, 77n),
        steps: fc.array(step, { maxLength: 40 }),
      }),
      ({ size, slots, first, steps }) => {
        const { storage, ring } = newRing(size, slots);
        const map = mapped(storage);
        const stamp = ring.extension();
        inPlace(beginningAt(ring, first));
        const reader = Ring.open(storage, POOL);
        /** What is in the file, by number, and whether it is old. */
        const ages = new Map<bigint, boolean>();
        let next = first;
        let limited = false;
        for (const { do: what, n, old } of steps) {
          // What was the foreign writer's last step may be untidy (docs/spec/format.md 5.1 D2).
          let tidy = what === "ours";
          const time = old ? now() - 2n * HOUR : now();
          if (what === "trim") {
            const { newest } = ring.state();
            const dropped = inPlace(trimming(ring, (seq) => seq <= newest - BigInt(n)));
            tidy = dropped > 0n;
            met.trims++;
            if (n === 0) met.emptied++;
          } else if (what === "limit") {
            limited = n > 0;
            inPlace(settingMaxAge(ring, limited ? HOUR : 0n));
          } else {
            if (what === "ours") {
              const batch = batchOf(payload(Number(next), n));
              batch.setTime(0, time);
              assert(ring.tryAppend(batch) !== null);
            } else {
              const seq = refAppendAll(map, payload(Number(next), n), time);
              assert.equal(seq, next);
            }
            ages.set(next, old);
            next++;
          }
          if (tidy) assert.deepEqual(checkRing(storage, POOL, "pool").issues, [], what);
          assert.deepEqual(specCheck(storage.bytes(POOL), false).problems, [], what);
          assert.equal(ring.extension()?.id, stamp?.id);
          // Everyone of ours sees the same: what is in the file behind its expired beginning.
          const { oldest, newest } = ring.state();
          assert.equal(newest, next - 1n);
          let live = oldest;
          while (limited && live !== 0n && live <= newest && ages.get(live) === true) live++;
          if (live > oldest) met.limited++;
          const seqs = drain(new Cursor(reader, 0n)).messages.map(({ seq }) => seq);
          const expected = oldest === 0n ? 0n : newest - live + 1n;
          assert.deepEqual([seqs.length, seqs[0]], [
            Number(expected),
            expected > 0n ? live : undefined,
          ]);
          for (const { seq, payload: bytes } of drain(new Cursor(reader, 0n)).messages) {
            assert.deepEqual(bytes, payload(Number(seq), bytes.length));
          }
        }
      },
    ),
    { numRuns: 250 * SCALE },
  );
  for (const [what, count] of Object.entries(met)) assert.ok(count > 0, what);
});

async function run(dir: string, ...args: string[]): Promise<{ code: number; stdout: string }> {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", CLI, "--dir", dir, ...args],
    stdin: "null",
    stderr: "null",
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout) };
}

/** The lines of a stream, up to the first that is wanted. */
async function linesUntil(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  isLast: (line: string) => boolean,
): Promise<string[]> {
  const lines: string[] = [];
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
    if (parts.some(isLast)) break;
  }
  return lines;
}

Deno.test("processes: a foreign writer and a follower at work while the pool is trimmed and limited", () =>
  withDir(async (dir) => {
    await run(dir, "pool", "create", "p", "--size", "64K");
    const count = 120 * SCALE;
    await using writer = start("foreign_feed.ts", `${dir}/p.plasmite`, String(count));
    const written = (async () => {
      const seqs: number[] = [];
      for (let line = await writer.line(); line !== null; line = await writer.line()) {
        seqs.push(Number(line));
      }
      return seqs;
    })();
    const follower = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", CLI, "--dir", dir, "follow", "p", "--tail", "1000", "--jsonl"],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const followed = linesUntil(follower.stdout, (line) => JSON.parse(line).seq > count);
    let told = "";
    const telling = (async () => {
      const decoder = new TextDecoder();
      for await (const bytes of follower.stderr) told += decoder.decode(bytes, { stream: true });
    })();
    let done = false;
    void written.then(() => done = true);
    for (let i = 0; !done; i++) {
      const args = [
        ["pool", "trim", "p", "--keep", "3"],
        ["pool", "set", "p", "--max-age", "1s"],
        ["pool", "trim", "p", "--older-than", "100ms"],
        ["pool", "set", "p", "--max-age", "none"],
        ["pool", "trim", "p", "--keep", "0"],
      ][i % 5] ?? [];
      assert.equal((await run(dir, ...args)).code, 0, args.join(" "));
      assert.equal((await run(dir, "doctor", "p")).code, 0, `doctor after ${args.join(" ")}`);
    }
    const seqs = await written;
    assert.deepEqual(seqs, Array.from({ length: count }, (_, i) => i + 1));
    const last = JSON.parse((await run(dir, "feed", "p", '{"last":true}')).stdout);
    assert.equal(last.seq, count + 1, "numbers go on");
    // It has seen everything, or was told what it has not seen.
    const seen = (await followed).map((line) => JSON.parse(line).seq as number);
    assert.equal(seen.at(-1), count + 1);
    const holes = seen.reduce(
      (sum, seq, i) => sum + (i === 0 ? 0 : seq - (seen[i - 1] ?? 0) - 1),
      0,
    );
    const lostAsTold = (): number => {
      const lines = told.split("\n").slice(0, -1).map((line) => JSON.parse(line).notice);
      return lines.filter(({ kind }) => kind === "drop").reduce(
        (sum, { details }) => sum + details.dropped_count,
        0,
      );
    };
    // Losses are told once a second at most.
    await until(() => lostAsTold() >= holes, () => `${lostAsTold()} told, ${holes} missing`);
    follower.kill("SIGTERM");
    await telling;
    const lost = lostAsTold();
    const before = (seen[0] ?? 1) - 1;
    assert.ok(lost >= holes && lost <= holes + before, `${lost} told, ${holes} missing`);
    assert.deepEqual(seen, seen.toSorted((a, b) => a - b));
  }));

/**
 * The automatic repair in front of an append (docs/spec/format.md 5.4). Without its bounds, one
 * crafted file, or one writer that was killed, stops every append to a pool forever, under the lock
 * that everyone else waits for, and takes a server down with it.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { Client } from "../../mod.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { createRing } from "../../lib/pool/creation.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { type Chain, findChain, type FoundFrame } from "../../lib/pool/chain.ts";
import { parseState, type State } from "../../lib/pool/header.ts";
import { type Layout, STATE_AT } from "../../lib/pool/layout.ts";
import { diagnoseRing, repairRing } from "../../lib/pool/rebuild.ts";
import { Ring } from "../../lib/pool/ring.ts";
import type { WritableRing } from "../../lib/pool/writable_ring.ts";
import { backUp } from "../../lib/storage/backup.ts";
import { disk } from "../../lib/storage/file.ts";
import { Killed, MemoryStorage } from "../support/memory.ts";
import { inPlace } from "../../lib/storage/steps.ts";
import { CLI, cli, errorOf, inTemp } from "../cli/cli_util.ts";
import { serve } from "../client/remote_util.ts";
import { type Damage, damage } from "../support/damage.ts";
import { refAppend, refAppendAll } from "../support/ref_writer.ts";
import {
  append,
  batchOf,
  hooked,
  mapped,
  newRing,
  payload,
  POOL,
  readAll,
  same,
  SCALE,
} from "../support/rings.ts";
import { HUGE, PROMISING, sparsePool } from "../support/sparse.ts";
import { specCheck } from "../support/spec_checker.ts";

// ---- what is found ---------------------------------------------------------------------------------

/** Every committed frame whose number is among the live ones, by looking everywhere. */
function everyFrame(file: Uint8Array, layout: Layout, state: State): FoundFrame[] {
  const view = new DataView(file.buffer, file.byteOffset + layout.ringOffset, layout.ringSize);
  const found: FoundFrame[] = [];
  for (let at = 0; at + 72 <= layout.ringSize; at += 8) {
    const length = view.getUint32(at + 32, true);
    const end = at + Math.ceil((72 + length) / 8) * 8;
    const seq = view.getBigUint64(at + 16, true);
    if (
      view.getUint32(at, true) === 0x314d5246 && view.getUint32(at + 4, true) === 2 &&
      view.getUint32(at + 12, true) === 64 &&
      view.getUint32(at + 36, true) === (length ^ 0xffffffff) >>> 0 &&
      length <= layout.ringSize - 72 && end <= layout.ringSize &&
      view.getBigUint64(at + 64 + length, true) === 0x54494d434d534c50n &&
      seq >= (state.oldest || 1n) && seq <= state.newest
    ) found.push({ at, seq, end });
  }
  return found;
}

/** Where the item behind a frame is, as the format says. */
function placeAfter(file: Uint8Array, layout: Layout, end: number): number {
  if (layout.ringSize - end < 64) return 0;
  const view = new DataView(file.buffer, file.byteOffset + layout.ringOffset + end, 64);
  const wrap = view.getUint32(0, true) === 0x314d5246 && view.getUint32(4, true) === 3 &&
    view.getUint32(12, true) === 64 && view.getUint32(32, true) === 0 &&
    view.getUint32(36, true) === 0xffffffff;
  return wrap ? 0 : end;
}

/** The longest run that ends with the newest message at the head, from its end backwards. */
function slowChain(file: Uint8Array, layout: Layout, state: State): FoundFrame[] {
  const frames = everyFrame(file, layout, state);
  const chain: FoundFrame[] = [];
  for (let seq = state.newest; seq >= (state.oldest || 1n); seq--) {
    const [next] = chain;
    const one = frames.find((frame) =>
      frame.seq === seq &&
      (next === undefined
        ? frame.end % layout.ringSize === state.head
        : placeAfter(file, layout, frame.end) === next.at)
    );
    if (one === undefined) break;
    chain.unshift(one);
  }
  return chain;
}

const turn = fc.record({ ours: fc.boolean(), size: fc.nat(300) });
const fraction = fc.double({ min: 0, max: 1, noNaN: true });

Deno.test("the chain that is found is the longest one, whatever was destroyed", () => {
  const met = { none: 0, whole: 0, part: 0, turned: 0 };
  fc.assert(
    fc.property(
      fc.integer({ min: 1080, max: 6000 }),
      fc.array(turn, { minLength: 1, maxLength: 40 }),
      fc.array(
        fc.record({
          kind: fc.constantFrom("zero" as const, "noise" as const),
          where: fc.constant("ring" as const),
          at: fraction,
          length: fc.integer({ min: 1, max: 700 }),
          seed: fc.nat(100),
        }),
        { maxLength: 3 },
      ),
      fc.nat(20),
      fc.option(fc.record({ which: fc.nat(20), by: fc.constantFrom(-1n, 1n, 2n) })),
      (C, turns, accidents: readonly Damage[], stop, renumbered) => {
        const { storage, ring } = newRing(C, 4);
        for (const [i, { ours, size }] of turns.entries()) {
          const bytes = payload(i, size);
          if (ours) append(ring, bytes);
          else refAppendAll(mapped(storage), bytes, 1n);
        }
        const steps = refAppend(mapped(storage), payload(99, 200), 1n, 64);
        for (let i = 0; i < stop; i++) {
          const { done, value } = steps.next();
          if (done === true || value === "publish") return;
        }
        const bytes = accidents.reduce<Uint8Array<ArrayBuffer>>(damage, storage.bytes(POOL));
        const view = new DataView(bytes.buffer);
        const state = parseState(view, STATE_AT);
        const victim = everyFrame(bytes, ring.layout, state)[renumbered?.which ?? -1];
        if (renumbered !== null && victim !== undefined) {
          const at = ring.layout.ringOffset + victim.at + 16;
          view.setBigUint64(at, victim.seq + renumbered.by, true);
        }
        const left = new MemoryStorage();
        left.put(POOL, bytes);
        const expected = slowChain(bytes, ring.layout, state);
        const file = left.open(POOL, { write: false });
        const found: Chain | null = inPlace(findChain(file, ring.layout, state, Infinity));
        assert.deepEqual(found?.first ?? null, expected[0] ?? null);
        const turned = expected.find(({ at }, i) => at < (expected[i - 1]?.at ?? 0)) ?? null;
        assert.deepEqual(found?.turned ?? null, turned);
        if (found === null) met.none++;
        else if (found.first.seq === state.oldest) met.whole++;
        else met.part++;
        if (turned !== null) met.turned++;
      },
    ),
    { numRuns: 2000 * SCALE },
  );
  for (const [what, count] of Object.entries(met)) assert(count > 3, `${what}: ${count}`);
});

Deno.test("of a chain that goes over its own beginning the part that does not is found", () => {
  const size = 20 << 20; // So much free space that the search begins at the tail.
  const find = (
    state: { head: number; tail: number; newest: bigint },
    frames: readonly (readonly [at: number, seq: bigint, end: number])[],
  ): unknown => {
    const { storage, ring } = newRing(size);
    const file = storage.bytes(POOL);
    for (const [at, seq, end] of frames) {
      for (const [offset, bytes] of hollowFrame(at, seq, end - at - 72)) {
        file.set(bytes, ring.layout.ringOffset + offset);
      }
    }
    storage.put(POOL, file);
    const look = storage.open(POOL, { write: false });
    const whole = { ...state, tailNext: 0, oldest: 1n };
    const chain = inPlace(findChain(look, ring.layout, whole, Infinity));
    return [chain?.first.seq, chain?.turned?.seq];
  };
  // 1 lies across the head; 3 and 4 lie over it, and end where the head is.
  const around = [[0, 3n, 800], [600, 1n, 1400], [800, 4n, 1000], [1400, 2n, size]] as const;
  assert.deepEqual(find({ head: 1000, tail: 600, newest: 4n }, around), [2n, 3n]);
  // 1 reaches the end; 2 and 3 lie over it.
  const whole = [[600, 1n, size], [0, 2n, 800], [800, 3n, 1000]] as const;
  assert.deepEqual(find({ head: 1000, tail: 600, newest: 3n }, whole), [2n, undefined]);
  // The head is at the end: what goes round goes over itself.
  const end = [[1000, 1n, size], [0, 2n, 800], [800, 3n, size]] as const;
  assert.deepEqual(find({ head: 0, tail: 1000, newest: 3n }, end), [2n, undefined]);
});

// ---- a search takes time, and the pool lives on ----------------------------------------------------

/** A pool on disk whose oldest messages of 1 MiB are zero: a search that takes longer than one slice. */
function wounded(
  dir: string,
  lost = 60,
): { path: string; newest: bigint; whole: bigint; at: number } {
  const path = `${dir}/p.plasmite`;
  createRing(disk, path, { size: 100 << 20, indexCapacity: 64 });
  const ring = openToAppend(disk, path);
  const bytes = payload(1, 1 << 20);
  for (let i = 0; i < 150; i++) append(ring, bytes);
  const { tail, newest } = ring.state();
  const { ringOffset, ringSize } = ring.layout;
  const file = disk.open(path, { write: true });
  const frame = (1 << 20) + 72;
  const zeros = new Uint8Array(frame);
  let at = tail;
  for (let i = 0; i <= lost; i++, at += frame) {
    if (ringSize - at < frame) at = 0;
    if (i === lost) break;
    file.writeAt(zeros, ringOffset + at);
  }
  file.close();
  const whole = ring.state().oldest + BigInt(lost);
  ring.close();
  return { path, newest, whole, at };
}

/** Tries until the search has begun and its first slice is over. */
function beginSearch(ring: WritableRing): void {
  assert.equal(
    ring.tryAppend(batchOf(payload(2, 1 << 20))),
    null,
    "the search takes more than a slice",
  );
}

function goOn(ring: WritableRing, bytes: Uint8Array): { seq: bigint; slices: number } {
  for (let slices = 1; slices < 10_000; slices++) {
    const done = ring.tryAppend(batchOf(bytes));
    if (done !== null) return { seq: done.first, slices };
  }
  throw new Error("the search does not end");
}

Deno.test("while a repair searches, the lock is free and everything else continues", async () => {
  await inTemp((dir) => {
    const { path, newest, whole } = wounded(dir);
    const ring = openToAppend(disk, path);
    beginSearch(ring);
    const other = disk.open(path, { write: true });
    assert(other.tryLock(true), "others may lock");
    assert.deepEqual(goOnUntilLock(ring), null, "the search itself needs no lock");
    other.unlock();
    other.close();
    const { seq } = goOn(ring, payload(2, 1 << 20));
    assert.equal(seq, newest + 1n);
    assert.equal(ring.state().oldest, whole, "what is whole was kept");
    assert.equal(readAll(ring).length, Number(seq - whole) + 1);
    ring.close();
  });
});

/** Goes on until only the lock is missing: it must not be needed before. */
function goOnUntilLock(ring: WritableRing): unknown {
  let last: unknown = null;
  for (let i = 0; i < 200; i++) last = ring.tryAppend(batchOf(payload(2, 1 << 20)));
  return last;
}

Deno.test("two concurrent repairs: one does it, and no number is assigned twice", async () => {
  await inTemp((dir) => {
    const { path, newest, whole } = wounded(dir);
    const rings = [0, 1, 2].map(() => openToAppend(disk, path));
    for (const ring of rings) beginSearch(ring);
    const seqs = rings.map((ring, i) => goOn(ring, payload(10 + i, (1 << 20) + i)).seq);
    assert.deepEqual(seqs, [1n, 2n, 3n].map((i) => newest + i));
    const [ring] = rings;
    assert(ring !== undefined);
    assert.equal(ring.state().oldest, whole);
    const found = readAll(ring).slice(-3);
    for (const [i, { payload: bytes }] of found.entries()) {
      assert(same(bytes, payload(10 + i, (1 << 20) + i)));
    }
    for (const one of rings) one.close();
  });
});

Deno.test("what was found is checked again: a writer that died in the meantime has overwritten it", async () => {
  for (const turned of [false, true]) {
    await inTemp((dir) => {
      const { path, newest, whole, at } = wounded(dir, turned ? 30 : 60);
      let locks = 0;
      const storage = hooked(disk, {
        split: (length) => length - 8,
        onLock: () => {
          // Behind the search, in front of the publication.
          if (++locks !== 2) return;
          const file = disk.open(path, { write: true });
          const { ringOffset } = ring.layout;
          file.writeAt(payload(5, 3 << 20), ringOffset + (turned ? 0 : at));
          file.close();
        },
      });
      const ring = openToAppend(storage, path);
      const { seq } = goOn(ring, payload(2, 1 << 20));
      assert.equal(seq, newest + 1n);
      assert.equal(locks, 3, "it was found out, and searched once more");
      const messages = readAll(ring);
      assert.equal(messages.at(-1)?.seq, seq);
      assert(messages.length > 5 && ring.state().oldest > whole);
      ring.close();
    });
  }
});

Deno.test("killed at any write of a repair: the pool is as before, or mended", () => {
  const { storage, ring } = newRing(5000, 8);
  for (let i = 0; i < 30; i++) append(ring, payload(i, 300));
  const { tail, oldest, newest } = ring.state();
  const bytes = storage.bytes(POOL);
  bytes.fill(0, ring.layout.ringOffset + tail, ring.layout.ringOffset + tail + 500);
  let kills = 0;
  for (let killAfter = 0;; killAfter++) {
    const broken = new MemoryStorage();
    broken.put(POOL, bytes);
    const writer = openToAppend(broken, POOL);
    broken.plan({ killAfter });
    try {
      append(writer, payload(77, 300));
      break;
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      kills++;
    }
    const left = broken.afterKill();
    const again = openToAppend(left, POOL);
    assert.equal(append(again, payload(78, 300)), newest + 1n);
    const found = readAll(again);
    assert.equal(found.at(-1)?.seq, newest + 1n);
    assert(found.length > 5 && again.state().oldest > oldest);
    for (const m of found.slice(0, -1)) {
      assert(same(m.payload, payload(Number(m.seq) - 1, 300)), `message ${m.seq}`);
    }
    assert.deepEqual(specCheck(left.bytes(POOL), false).problems, []);
  }
  assert(kills >= 3, `${kills} writes`);
});

// ---- bounds ----------------------------------------------------------------------------------------

const sparse = Deno.build.os !== "windows";

Deno.test({
  name: "a pool of 4 TiB with nothing in it: an append ends, says what to do, and remembers",
  ignore: !sparse,
  fn: async () => {
    await inTemp((dir) => {
      const path = `${dir}/huge.plasmite`;
      sparsePool(path, { state: PROMISING });
      let reads = 0;
      const ring = openToAppend(hooked(disk, { onRead: () => reads++ }), path);
      const refused = (): void =>
        assert.throws(() => goOn(ring, payload(1, 100)), (error) => {
          assert(PlasmiteError.is(error, ErrorKind.Corrupt));
          assert.match(error.hint ?? "", /repair it/);
          assert.equal(error.path, path);
          const other = disk.open(path, { write: true });
          assert(other.tryLock(true), "no lock is left behind");
          other.close();
          return true;
        });
      refused();
      assert(reads > 100);
      reads = 0;
      refused();
      assert(reads < 20, `${reads} reads: the same search is not made twice`);
      ring.close();
    });
  },
});

Deno.test({
  name: "a pool of 4 TiB in a server: it refuses that append and serves everybody else",
  ignore: !sparse,
  fn: async () => {
    await inTemp(async (dir) => {
      sparsePool(`${dir}/huge.plasmite`, { state: PROMISING });
      await using server = serve({ dir });
      using other = server.local.createPool("other");
      assert.equal(other.append({ n: 0 }).seq, 1n);
      let pending = true;
      const append = (pool: string): Promise<Response> =>
        fetch(`${server.url}/v0/pools/${pool}/append`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: '{"data":{}}',
        });
      const huge = append("huge").finally(() => pending = false);
      let served = 0;
      while (pending) {
        const answer = await append("other");
        assert.equal(answer.status, 200);
        await answer.body?.cancel();
        if (pending) served++;
      }
      const answer = await huge;
      const { error } = await answer.json();
      assert.equal(error.kind, "Corrupt");
      assert.match(error.hint ?? "doctor --repair", /doctor --repair/);
      assert.ok(served > 10, `${served} appends while it searched`);
    });
  },
});

Deno.test({
  name: "a pool of 4 TiB on the command line: feed ends with 7 and doctor --repair",
  ignore: !sparse,
  fn: async () => {
    await inTemp(async (dir) => {
      sparsePool(`${dir}/huge.plasmite`, { state: PROMISING });
      const outcome = await cli(["--dir", dir, "feed", "huge", '{"a":1}']);
      assert.equal(outcome.code, ErrorKind.Corrupt);
      const error = errorOf(outcome);
      assert.equal(error["kind"], "Corrupt");
      assert.match(String(error["hint"]), /doctor huge --repair/);
    });
  },
});

// ---- doctor ----------------------------------------------------------------------------------------

interface Report {
  readonly status: string;
  readonly unchecked_from?: number;
  readonly issues: readonly { code: string; message: string; offset: number | null }[];
  readonly remediation_hints: readonly string[];
}

async function doctor(
  dir: string,
  ...args: string[]
): Promise<{ code: number; reports: Report[] }> {
  const { code, stdout } = await cli(["--dir", dir, "doctor", "--json", ...args]);
  return { code, reports: JSON.parse(stdout).reports };
}

/** A frame's header, and its commit marker `payload` bytes behind it. */
function hollowFrame(at: number, seq: bigint, payload: number): [number, Uint8Array][] {
  const header = new Uint8Array(64);
  const view = new DataView(header.buffer);
  view.setUint32(0, 0x314d5246, true);
  view.setUint32(4, 2, true);
  view.setUint32(12, 64, true);
  view.setBigUint64(16, seq, true);
  view.setBigUint64(24, 1n, true);
  view.setUint32(32, payload, true);
  view.setUint32(36, (payload ^ 0xffffffff) >>> 0, true);
  return [[at, header], [at + 64 + payload, new TextEncoder().encode("PLSMCMIT")]];
}

Deno.test({
  name: "doctor on files that are mostly holes: it ends, with 7 and where it stopped looking",
  ignore: !sparse,
  fn: async (t) => {
    await inTemp(async (dir) => {
      const far = new Uint8Array(64).fill(0x46);
      const length = 64 << 20;
      const hollow = Array.from(
        { length: 40 },
        (_, i) => hollowFrame(i * length, BigInt(i + 1), length - 72),
      );
      const made: Record<string, Parameters<typeof sparsePool>[1]> = {
        promising: { state: PROMISING },
        index: { indexCapacity: 0xffff_ffff, state: { ...PROMISING, head: HUGE / 2 } },
        header: { file: [[0, new TextEncoder().encode("XXXX")]] },
        state: { state: { oldest: 5n, newest: 3n } },
        empty: { ring: [[HUGE / 2, far]] },
        hollow: {
          state: { head: 40 * length, tail: 0, tailNext: length, oldest: 1n, newest: 40n },
          ring: hollow.flat(),
        },
      };
      for (const [name, options] of Object.entries(made)) {
        await t.step(name, async () => {
          sparsePool(`${dir}/${name}.plasmite`, options);
          const before = Deno.statSync(`${dir}/${name}.plasmite`);
          const { code, reports: [report] } = await doctor(dir, name);
          assert.equal(code, ErrorKind.Corrupt);
          assert(report !== undefined);
          assert.equal(report.status, "corrupt");
          assert(report.unchecked_from !== undefined && report.unchecked_from < HUGE / 100);
          assert(report.remediation_hints.length > 0);
          // A repair finds nothing to build on, says so, and leaves the file and the disk alone.
          const repair = await cli(["--dir", dir, "doctor", name, "--repair"]);
          assert.equal(repair.code, ErrorKind.Corrupt);
          assert.match(String(errorOf(repair)["hint"]), /mostly holes.*create the pool again/);
          const after = Deno.statSync(`${dir}/${name}.plasmite`);
          assert.deepEqual([after.size, after.blocks], [before.size, before.blocks]);
        });
      }
      await t.step("all of them", async () => {
        const { code, reports } = await doctor(dir, "--all");
        assert.equal(code, ErrorKind.Corrupt);
        assert.equal(reports.length, Object.keys(made).length);
      });
    });
  },
});

Deno.test({
  name:
    "doctor on a large pool that was hardly used yet: it is healthy, and a damaged one is repaired",
  ignore: !sparse,
  fn: async () => {
    await inTemp(async (dir) => {
      using client = new Client(dir);
      using fresh = client.createPool("fresh", { sizeBytes: 2n ** 40n });
      let report = (await doctor(dir, "fresh")).reports[0];
      assert.deepEqual([report?.status, report?.unchecked_from], ["ok", undefined]);
      for (let i = 0; i < 300; i++) fresh.append({ i });
      report = (await doctor(dir, "fresh")).reports[0];
      assert.deepEqual([report?.status, report?.unchecked_from], ["ok", undefined]);
      // One frame's header is gone: what is whole is found behind it, and kept.
      const file = disk.open(fresh.path, { write: true });
      const ring = Ring.open(disk, fresh.path);
      file.writeAt(new Uint8Array(64), ring.layout.ringOffset + ring.indexOffset(100n));
      ring.close();
      file.close();
      const { code, reports: [damaged] } = await doctor(dir, "fresh");
      assert.equal(code, ErrorKind.Corrupt);
      assert(damaged !== undefined && damaged.issues[0]?.code === "corrupt");
    });
  },
});

Deno.test("doctor shows its progress in a walk, in a search, and in a backup", async () => {
  await inTemp((dir) => {
    const { path } = wounded(dir);
    const told: [number, number][] = [];
    const progress = (done: number, total: number): void => void told.push([done, total]);
    diagnoseRing(disk, path, "p", progress);
    const searched = told.splice(0);
    const file = disk.open(path, { write: false });
    try {
      repairRing(disk, path, "p", { progress, backup: () => backUp(file, progress) });
    } finally {
      file.close();
    }
    for (const calls of [searched, told]) {
      assert.ok(calls.length > 100, `${calls.length} calls for 100 MiB`);
      for (const [done, total] of calls) {
        assert.ok(done >= 0 && done <= total && total <= 101 << 20);
      }
      const most = Math.max(...calls.map(([done, total]) => done / total));
      assert.ok(most > 0.9 && calls.some(([done, total]) => done < total / 2));
    }
  });
});

Deno.test({
  name: "doctor at work on a large file ends at once on SIGINT",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await inTemp(async (dir) => {
      // Two gibibytes, and enough of them on the disk that all are looked at.
      const path = `${dir}/large.plasmite`;
      const size = 2 ** 31;
      sparsePool(path, {
        size,
        state: { ...PROMISING, head: size - 8192 },
        ring: Array.from({ length: 32 }, (_, i) => [(i + 1) << 20, payload(i, 1 << 20)]),
      });
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", CLI, "--dir", dir, "doctor", "large"],
        stdout: "piped",
        stderr: "null",
      }).spawn();
      const isOpen = (): boolean =>
        [...Deno.readDirSync(`/proc/${child.pid}/fd`)].some(({ name }) => {
          try {
            return Deno.readLinkSync(`/proc/${child.pid}/fd/${name}`) === Deno.realPathSync(path);
          } catch (error) {
            if (error instanceof Deno.errors.NotFound) return false;
            throw error;
          }
        });
      while (!isOpen()) await new Promise((resolve) => setTimeout(resolve, 5));
      child.kill("SIGINT");
      const { signal, stdout } = await child.output();
      assert.equal(signal, "SIGINT");
      assert.equal(stdout.length, 0, "it had not come to its end");
    });
  },
});

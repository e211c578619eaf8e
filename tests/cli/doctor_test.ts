/**
 * `plasmite doctor`: real pool files on disk, damaged one way after the other, judged and repaired
 * (docs/spec/command-line.md 11, docs/spec/format.md 5.1, 10).
 *
 * @module
 */

import assert from "node:assert/strict";
import { Client } from "../../lib/client/client.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { type RepairReport, repairRing } from "../../lib/pool/rebuild.ts";
import { backUp } from "../../lib/storage/backup.ts";
import { disk } from "../../lib/storage/file.ts";
import { CLI, cli, errorOf, exists, hasScript, inTemp, onTerminal, quote } from "./cli_util.ts";
import { message, unharmed } from "../support/damage.ts";
import { mapBytes, type Phase, refAppend, refAppendAll } from "../support/ref_writer.ts";
import { type Found, specCheck } from "../support/spec_checker.ts";

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset);
const ringAt = (bytes: Uint8Array): number => Number(view(bytes).getBigUint64(40, true));

/** A pool file with messages 1..count, each with data `{"n":N,…}`. */
function pool(path: string, count: number, size = 65536): Uint8Array<ArrayBuffer> {
  using client = new Client();
  using made = client.createPool(path, size);
  for (let n = 1; n <= count; n++) made.append({ n, text: "x".repeat(n % 50) }, { tags: ["t"] });
  return Deno.readFileSync(path);
}

function frameOf(bytes: Uint8Array, seq: bigint): Found {
  const found = specCheck(bytes, false).messages.find((m) => m.seq === seq);
  assert(found !== undefined);
  return found;
}

interface Mended {
  readonly report: RepairReport;
  readonly data: Map<bigint, unknown>;
  readonly tags: Map<bigint, readonly string[]>;
}

/** Repairs the file at `path`, and makes sure that it is well and goes on. */
function mend(path: string): Mended {
  const broken = Deno.readFileSync(path);
  const report = repairRing(disk, path, "p", { messages: true, backup: backUp });
  assert.deepEqual(report.after.issues, []);
  if (report.backupPath !== null) {
    assert.deepEqual(
      Deno.readFileSync(report.backupPath),
      broken,
      "the backup is the damaged file",
    );
    assert(!report.backupPath.endsWith(".plasmite"));
  }
  assert.deepEqual(specCheck(Deno.readFileSync(path), false).problems, []);
  using client = new Client();
  const data = new Map<bigint, unknown>();
  const tags = new Map<bigint, readonly string[]>();
  using opened = client.openPool(path);
  const { oldestSeq, newestSeq } = opened.info().bounds;
  for (let seq = oldestSeq ?? 1n; newestSeq !== null && seq <= newestSeq; seq++) {
    const { data: value, tags: words } = opened.get(seq);
    data.set(seq, value);
    tags.set(seq, words);
  }
  const before = report.salvage?.state.newest ?? newestSeq ?? 0n;
  for (let i = 1n; i <= 3n; i++) assert.equal(opened.append({ more: true }).seq, before + i);
  assert.deepEqual(specCheck(Deno.readFileSync(path), false).problems, []);
  return { report, data, tags };
}

/** Damages a pool of `count` messages in a file of its own, repairs it, and looks. */
function broken(
  name: string,
  spoil: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array | void,
  look: (mended: Mended, path: string) => void,
  count = 20,
): void {
  Deno.test(`repair: ${name}`, () =>
    inTemp((dir) => {
      const path = `${dir}/p.plasmite`;
      const bytes = pool(path, count);
      Deno.writeFileSync(path, spoil(bytes) ?? bytes);
      look(mend(path), path);
      return Promise.resolve();
    }));
}

function numbered(data: unknown): { n: number } {
  assert(typeof data === "object" && data !== null && "n" in data && typeof data.n === "number");
  return { n: data.n };
}

/** All messages but those of `missing` are there with their own data. */
function assertKept({ data }: Mended, count: number, missing: readonly bigint[] = []): void {
  for (let n = 1; n <= count; n++) {
    if (missing.includes(BigInt(n))) continue;
    assert.deepEqual(data.get(BigInt(n)), { n, text: "x".repeat(n % 50) }, `message ${n}`);
  }
}

Deno.test("repair: a healthy pool is left alone, byte for byte", () =>
  inTemp((dir) => {
    const path = `${dir}/p.plasmite`;
    const bytes = pool(path, 300);
    const { salvage, backupPath } = repairRing(disk, path, "p", { messages: true, backup: backUp });
    assert.deepEqual([salvage, backupPath], [null, null]);
    assert.deepEqual(Deno.readFileSync(path), bytes);
    assert.deepEqual([...Deno.readDirSync(dir)].length, 1);
    return Promise.resolve();
  }));

broken("one flipped bit in a payload is flipped back", (bytes) => {
  const { at } = frameOf(bytes, 7n);
  view(bytes).setUint8(
    ringAt(bytes) + at + 64 + 401,
    view(bytes).getUint8(ringAt(bytes) + at + 465) ^ 8,
  );
}, (mended) => {
  assertKept(mended, 20);
  assert.deepEqual(mended.report.salvage?.mended, [{ first: 7n, last: 7n }]);
});

broken("a flipped bit in the checksum itself", (bytes) => {
  const at = ringAt(bytes) + frameOf(bytes, 7n).at + 41;
  view(bytes).setUint8(at, view(bytes).getUint8(at) ^ 64);
}, (mended) => assertKept(mended, 20));

broken("a payload that is beyond mending gets a stand-in that says so", (bytes) => {
  const { at } = frameOf(bytes, 7n);
  bytes.fill(0x5a, ringAt(bytes) + at + 90, ringAt(bytes) + at + 130);
}, (mended) => {
  assertKept(mended, 20, [7n]);
  assert.deepEqual(mended.tags.get(7n), ["plasmite.lost"]);
  assert.deepEqual(mended.report.salvage?.replaced, [{ first: 7n, last: 7n }]);
});

for (
  const [what, from, to] of [["magic", 0, 4], ["state", 4, 8], ["number", 16, 24], [
    "lengths",
    32,
    40,
  ]] as const
) {
  broken(`a frame header without its ${what} is written anew`, (bytes) => {
    const at = ringAt(bytes) + frameOf(bytes, 7n).at;
    bytes.fill(what === "state" ? 1 : 0xee, at + from, at + to);
  }, (mended) => {
    assertKept(mended, 20);
    assert.deepEqual(mended.report.salvage?.mended, [{ first: 7n, last: 7n }]);
  });
}

broken("a missing commit marker is put back where the checksum holds", (bytes) => {
  const { at, payload } = frameOf(bytes, 20n);
  bytes.fill(0, ringAt(bytes) + at + 64 + payload.length, ringAt(bytes) + at + 72 + payload.length);
}, (mended) => assertKept(mended, 20));

broken("a zeroed stretch over several messages", (bytes) => {
  const from = ringAt(bytes) + frameOf(bytes, 6n).at;
  bytes.fill(0, from + 30, ringAt(bytes) + frameOf(bytes, 9n).at + 100);
}, (mended) => {
  assertKept(mended, 20, [6n, 7n, 8n, 9n]);
  assert.deepEqual(mended.report.salvage?.replaced, [{ first: 6n, last: 9n }]);
  for (const seq of [6n, 7n, 8n, 9n]) assert.deepEqual(mended.tags.get(seq), ["plasmite.lost"]);
});

broken(
  "a zeroed stretch over the newest messages does not give their numbers out again",
  (bytes) => {
    bytes.fill(0, ringAt(bytes) + frameOf(bytes, 19n).at);
  },
  (mended) => {
    assertKept(mended, 20, [19n, 20n]);
    assert.equal(mended.report.salvage?.state.newest, 20n);
  },
);

broken("a zeroed stretch over the oldest messages", (bytes) => {
  bytes.fill(0, ringAt(bytes), ringAt(bytes) + frameOf(bytes, 4n).at + 8);
}, (mended) => {
  assert.deepEqual(mended.report.salvage?.dropped, { first: 1n, last: 4n });
  assertKept(mended, 20, [1n, 2n, 3n, 4n]);
});

const blocks: Record<string, (state: Uint8Array, old: Uint8Array) => void> = {
  "of garbage": (state) => crypto.getRandomValues(state),
  "of zeros": (state) => state.fill(0),
  "of ones": (state) => state.fill(0xff),
  "with head and tail of another time": (state, old) => state.set(old.subarray(0, 16)),
  "with numbers of another time": (state, old) => state.set(old.subarray(24, 40), 24),
  "with the newest number of another time": (state, old) => state.set(old.subarray(32, 40), 32),
  "with its bounds inverted": (state) => view(state).setBigUint64(24, 999n, true),
  "with a wrong tail_next": (state) => view(state).setBigUint64(16, 8n, true),
};
for (const [what, spoil] of Object.entries(blocks)) {
  for (const count of [20, 400]) {
    Deno.test(`repair: a state block ${what}, ${count} messages`, () =>
      inTemp((dir) => {
        const path = `${dir}/p.plasmite`;
        {
          using client = new Client();
          using made = client.createPool(path, 65536);
          // A minute apart, as messages of a pool in use are; 400 of them go round the ring.
          for (let n = 1; n <= count; n++) {
            const timestampNs = 1_700_000_000_000_000_000n + 61_000_000_000n * BigInt(n);
            made.append({ n, text: "x".repeat(n % 50) }, { timestampNs });
          }
        }
        const bytes = Deno.readFileSync(path);
        const { messages, state } = specCheck(bytes, true);
        const old = new Uint8Array(40);
        [8, 8, 8, 2, 9].forEach((n, i) => view(old).setBigUint64(8 * i, BigInt(n), true));
        spoil(bytes.subarray(64, 104), old);
        Deno.writeFileSync(path, bytes);
        const mended = mend(path);
        for (const { seq } of messages) {
          const n = Number(seq);
          assert.deepEqual(mended.data.get(seq), { n, text: "x".repeat(n % 50) }, `message ${n}`);
        }
        assert.equal(mended.report.salvage?.state.newest, state.newest);
        return Promise.resolve();
      }));
  }
}

broken("garbage in the index is rebuilt", (bytes) => {
  crypto.getRandomValues(bytes.subarray(4096, ringAt(bytes)));
}, (mended, path) => {
  assertKept(mended, 20);
  assert(mended.report.before.indexWrong > 20);
  assert.deepEqual(mended.report.salvage?.replaced, []);
  assert.deepEqual(specCheck(Deno.readFileSync(path), true).problems, []);
});

broken("a truncated file gets its length back", (bytes) => {
  return bytes.subarray(0, ringAt(bytes) + frameOf(bytes, 15n).at + 100);
}, (mended, path) => {
  assertKept(mended, 20, [15n, 16n, 17n, 18n, 19n, 20n]);
  assert(mended.report.layout.resized);
  assert.equal(Deno.statSync(path).size, 65536);
});

broken("an extended file is cut back", (bytes) => {
  const longer = new Uint8Array(bytes.length + 5000).fill(0x41);
  longer.set(bytes);
  return longer;
}, (mended, path) => {
  assertKept(mended, 20);
  assert.equal(Deno.statSync(path).size, 65536);
});

for (
  const [what, from, to] of [
    ["magic and version", 0, 8],
    ["size field", 16, 24],
    ["index capacity", 32, 36],
    ["ring bounds", 40, 56],
    ["whole header", 0, 4096],
  ] as const
) {
  broken(`a header without its ${what}`, (bytes) => void bytes.fill(0, from, to), (mended) => {
    assertKept(mended, 20);
    assert(mended.report.layout.header);
  });
}

broken("header and half of the index gone", (bytes) => void bytes.fill(0, 0, 6144), (mended) => {
  assertKept(mended, 20);
});

// ---- writers of the reference that died -----------------------------------------------------------

interface Shape {
  readonly name: string;
  readonly slots: number;
  readonly sizes: readonly number[];
  readonly last: number;
}

/** A ring of 4096 bytes: what the last message drops. */
const SHAPES: readonly Shape[] = [
  { name: "one dropped", slots: 8, sizes: [900, 200, 300, 500, 0, 0], last: 400 },
  {
    name: "several dropped, around the end",
    slots: 0,
    sizes: [0, 0, 0, 0, 0, 0, 0, 0],
    last: 1800,
  },
  { name: "nothing dropped", slots: 3, sizes: [100, 200], last: 300 },
  { name: "all dropped", slots: 8, sizes: [800, 900, 100], last: 3400 },
];

for (const { name, slots, sizes, last } of SHAPES) {
  Deno.test(`repair: a writer of the reference killed at every step, ${name}`, () =>
    inTemp((dir) => {
      const path = `${dir}/p.plasmite`;
      const phases = new Set<Phase>();
      for (let stop = 1;; stop++) {
        const file = new Uint8Array(4096 + 16 * slots + 4096);
        {
          using client = new Client();
          client.createPool(path, { sizeBytes: file.length, indexCapacity: slots }).close();
          file.set(Deno.readFileSync(path));
          Deno.removeSync(path);
        }
        const map = mapBytes(file);
        sizes.forEach((size, i) => refAppendAll(map, message(i + 1, size), BigInt(i + 1)));
        const sound = file.slice();
        const steps = refAppend(map, message(50, last), 50n, 200);
        let ended = false;
        for (let i = 0; i < stop && !ended; i++) {
          const step = steps.next();
          ended = step.done === true;
          if (step.done !== true) phases.add(step.value);
        }
        Deno.writeFileSync(path, file);
        const whole = [...unharmed(sound, file).keys()];
        const { data } = mend(path);
        const kept = [...data.keys()];
        // Until the state block was touched, all that stands is live and must be there.
        if (!phases.has("publish")) {
          assert.deepEqual(kept.slice(0, whole.length), whole, `stop ${stop}`);
        }
        for (const seq of kept) {
          const { n } = numbered(data.get(seq));
          assert(n === Number(seq) || n === 50, `stop ${stop}: message ${seq} is itself`);
        }
        for (const entry of Deno.readDirSync(dir)) Deno.removeSync(`${dir}/${entry.name}`);
        if (ended) break;
      }
      assert(phases.has("writing") && phases.has("publish"));
      return Promise.resolve();
    }));
}

Deno.test("repair: the tail where 0.8 leaves it, on a wrap marker", () =>
  inTemp((dir) => {
    const path = `${dir}/p.plasmite`;
    const bytes = pool(path, 200);
    const { messages, state } = specCheck(bytes, true);
    // The next message after the wrap marker is at offset 0: point the tail at the marker.
    const first = messages.findIndex((m) => m.at === 0);
    const marker = messages[first - 1];
    const oldest = messages[first];
    assert(marker !== undefined && oldest !== undefined && first > 0);
    view(bytes).setBigUint64(72, BigInt(marker.at + marker.length), true);
    view(bytes).setBigUint64(80, 0n, true);
    view(bytes).setBigUint64(88, oldest.seq, true);
    Deno.writeFileSync(path, bytes);
    const { report } = mend(path);
    assert.equal(report.before.status, "corrupt");
    assert.equal(report.before.issues[0]?.lost, null);
    assert.deepEqual(report.salvage?.kept, [{ first: oldest.seq, last: state.newest }]);
    return Promise.resolve();
  }));

// ---- what is refused --------------------------------------------------------------------------------

Deno.test("repair: what is no pool, or of another version, is refused untouched", () =>
  inTemp((dir) => {
    const path = `${dir}/p.plasmite`;
    const letter = new TextEncoder().encode("Dear friend, ".repeat(1000));
    const other = pool(`${dir}/q.plasmite`, 3);
    view(other).setUint32(4, 4, true);
    const cases = [[letter, ErrorKind.Corrupt], [new Uint8Array(), ErrorKind.Corrupt], [
      new Uint8Array(70000),
      ErrorKind.Corrupt,
    ], [other, ErrorKind.Usage]] as const;
    for (const [bytes, kind] of cases) {
      Deno.writeFileSync(path, bytes);
      assert.throws(
        () => repairRing(disk, path, "p", { messages: true, backup: backUp }),
        (error) => PlasmiteError.is(error, kind) && (error.hint ?? "") !== "",
      );
      assert.deepEqual(Deno.readFileSync(path), bytes);
    }
    assert.equal([...Deno.readDirSync(dir)].length, 2, "no backup without a repair");
    return Promise.resolve();
  }));

Deno.test("repair: without a backup nothing is changed", () =>
  inTemp((dir) => {
    const path = `${dir}/p.plasmite`;
    const bytes = pool(path, 5);
    bytes.fill(0, 64, 104);
    bytes[64] = 8;
    Deno.writeFileSync(path, bytes);
    assert.throws(
      () =>
        repairRing(disk, path, "p", {
          messages: true,
          backup: (file) =>
            backUp({ ...file, path: file.path, size: () => bytes.length + 1, readAt: () => 0 }),
        }),
      (error) => PlasmiteError.is(error, ErrorKind.Io),
    );
    assert.deepEqual(Deno.readFileSync(path), bytes);
    assert.deepEqual([...Deno.readDirSync(dir)].map((e) => e.name), ["p.plasmite"], "no half copy");
    return Promise.resolve();
  }));

const canMount = await exists("unshare") &&
  (await new Deno.Command("unshare", {
    args: ["-rm", "sh", "-c", "mount -t tmpfs -o size=64k none /mnt"],
    stderr: "null",
  }).output()).success;

Deno.test({
  name: "repair: a full disk is named, and nothing is changed",
  ignore: !canMount,
  fn: () =>
    inTemp(async (dir) => {
      const bytes = pool(`${dir}/p.plasmite`, 60);
      bytes.fill(7, 64, 104);
      Deno.writeFileSync(`${dir}/p.plasmite`, bytes);
      const doctor = [Deno.execPath(), "run", "-A", CLI]
        .map(quote).join(" ");
      const { stdout, code } = await new Deno.Command("unshare", {
        args: [
          "-rm",
          "sh",
          "-c",
          `mount -t tmpfs -o size=80k none /mnt && cp ${quote(`${dir}/p.plasmite`)} /mnt/ &&
           { ${doctor} doctor /mnt/p.plasmite --repair 2>&1; echo $?; ls /mnt;
             cmp /mnt/p.plasmite ${quote(`${dir}/p.plasmite`)} && echo unchanged; }`,
        ],
      }).output();
      const text = new TextDecoder().decode(stdout);
      assert.equal(code, 0, text);
      assert.match(text, /"failed to write the backup"/);
      assert.match(text, /no room for a backup/);
      assert.match(text, /\n8\np\.plasmite\nunchanged\n$/);
    }),
});

// ---- the command ------------------------------------------------------------------------------------

function command(
  name: string,
  body: (dir: string, run: (...args: string[]) => ReturnType<typeof cli>) => Promise<void>,
): void {
  Deno.test(name, () => inTemp((dir) => body(dir, (...args) => cli(["--dir", dir, ...args]))));
}

/** Three kinds of damage in one pool: messages 5, 9 and the zeroed 12..13. */
function spoil(path: string): void {
  const bytes = Deno.readFileSync(path);
  const base = ringAt(bytes);
  const at = (seq: bigint): number => base + frameOf(bytes, seq).at;
  const [five, nine, twelve, fourteen] = [at(5n), at(9n), at(12n), at(14n)];
  bytes.fill(0x33, five + 100, five + 150);
  bytes.fill(0x44, nine + 100, nine + 150);
  bytes.fill(0, twelve, fourteen);
  Deno.writeFileSync(path, bytes);
}

command("doctor: healthy, empty and missing pools", async (dir, run) => {
  pool(`${dir}/demo.plasmite`, 4);
  const ok = await run("doctor", "demo");
  assert.deepEqual([ok.code, ok.stdout, ok.stderr], [0, "OK: demo\n", ""]);
  const json = await run("doctor", "demo", "--json");
  assert.equal(
    json.stdout,
    `{"reports":[{"issue_count":0,"issues":[],"last_good_seq":4,"path":"${dir}/demo.plasmite",` +
      `"pool_ref":"demo","remediation_hints":[],"snapshot_path":null,"status":"ok"}]}\n`,
  );
  pool(`${dir}/empty.plasmite`, 0);
  const empty = JSON.parse((await run("doctor", "empty", "--json")).stdout);
  assert.equal(empty.reports[0].last_good_seq, null);
  const missing = await run("doctor", "nowhere");
  assert.equal(missing.code, ErrorKind.NotFound);
  const error = errorOf(missing);
  assert.equal(error["message"], "not found");
  assert.match(String(error["hint"]), /plasmite .*pool list`/);
  const yaml = await run("doctor", "demo", "--format", "yaml");
  assert.match(yaml.stdout, /^---\nreports:\n- issue_count: 0\n/);
});

command(
  "doctor: every issue, its meaning and what a repair would keep; exit 7",
  async (dir, run) => {
    pool(`${dir}/demo.plasmite`, 20);
    spoil(`${dir}/demo.plasmite`);
    const before = Deno.readFileSync(`${dir}/demo.plasmite`);
    const text = await run("doctor", "demo");
    assert.equal(text.code, ErrorKind.Corrupt);
    const [first, ...rest] = text.stdout.split("\n");
    assert.equal(first, "CORRUPT: demo last_good_seq=4 issue=payload checksum mismatch");
    assert(
      rest.some((line) => line.includes("a repair would keep messages 1..4, 6..8, 10..11, 14..20")),
    );
    assert(rest.some((line) => line.includes("plasmite doctor demo --repair")));
    const json = await run("doctor", "demo", "--json");
    assert.equal(json.code, ErrorKind.Corrupt);
    const [report] = JSON.parse(json.stdout).reports;
    assert.equal(report.issue_count, 3);
    assert.deepEqual(
      report.issues.map((issue: { lost: unknown }) => issue.lost),
      [{ first: 5, last: 5 }, { first: 9, last: 9 }, { first: 12, last: 13 }],
    );
    for (const issue of report.issues) {
      assert.deepEqual(Object.keys(issue), ["code", "lost", "meaning", "message", "offset", "seq"]);
      assert.equal(issue.code, "corrupt");
    }
    assert.deepEqual([report.status, report.last_good_seq, report.snapshot_path], [
      "corrupt",
      4,
      null,
    ]);
    assert.equal(report.prognosis.kept_count, 16);
    assert.deepEqual(report.prognosis.lost, [{ first: 5, last: 5 }, { first: 9, last: 9 }, {
      first: 12,
      last: 13,
    }]);
    assert.deepEqual(Deno.readFileSync(`${dir}/demo.plasmite`), before, "looking changes nothing");
  },
);

command("doctor --repair: backup, what was kept and lost; then healthy", async (dir, run) => {
  const path = `${dir}/demo.plasmite`;
  pool(path, 20);
  spoil(path);
  Deno.chmodSync(path, 0o640);
  const before = Deno.readFileSync(path);
  const inode = Deno.statSync(path).ino;
  const done = await run("doctor", "demo", "--repair", "--json");
  assert.equal(done.code, 0, done.stderr);
  const [report] = JSON.parse(done.stdout).reports;
  assert.deepEqual([report.status, report.issue_count], ["ok", 0]);
  const { repair } = report;
  assert.equal(repair.found.length, 3);
  assert.deepEqual([repair.kept_count, repair.lost_count], [16, 4]);
  assert.deepEqual(Deno.readFileSync(repair.backup_path), before);
  assert.equal((Deno.statSync(repair.backup_path).mode ?? 0) & 0o777, 0o640);
  assert.equal(Deno.statSync(path).ino, inode, "in place: open handles stay valid");
  assert.equal((await run("doctor", "demo")).stdout, "OK: demo\n");
  const again = await run("doctor", "demo", "--repair", "--json");
  assert.equal(JSON.parse(again.stdout).reports[0].repair, null);
  const read = await run("follow", "demo", "--no-follow", "--jsonl");
  const lines = read.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines.map((m) => m.seq), Array.from({ length: 20 }, (_, i) => i + 1));
  assert.deepEqual(lines[4].data.lost, true);
  assert.equal(JSON.parse((await run("fetch", "demo", "20")).stdout).data.n, 20);
  spoil(path);
  const text = await run("doctor", "demo", "--repair");
  assert.match(text.stdout, /^REPAIRED: demo\n/);
  assert.match(text.stdout, /\n {2}backup: .*\.backup-/);
  assert.match(text.stdout, /\n {2}lost: messages 5, 9, 12\.\.13: a stand-in/);
});

command("doctor: an open pool keeps working through a repair", async (dir, run) => {
  const path = `${dir}/demo.plasmite`;
  pool(path, 20);
  using client = new Client(dir);
  using opened = client.openPool("demo");
  spoil(path);
  assert.equal((await run("doctor", "demo", "--repair")).code, 0);
  assert.equal(opened.append({ after: true }).seq, 21n);
  assert.deepEqual(opened.get(20n).data, { n: 20, text: "x".repeat(20) });
});

command("doctor: index warnings are hints, not damage", async (dir, run) => {
  const path = `${dir}/demo.plasmite`;
  const bytes = pool(path, 4);
  view(bytes).setBigUint64(4096, 4n, true);
  view(bytes).setBigUint64(4104, 1n << 40n, true);
  Deno.writeFileSync(path, bytes);
  const [report] = JSON.parse((await run("doctor", "demo", "--json")).stdout).reports;
  assert.equal(report.status, "ok");
  assert.equal(
    report.remediation_hints[0],
    `warning: index slot 0 seq 4 points outside ring at offset ${1n << 40n}`,
  );
  const done = await run("doctor", "demo", "--repair", "--json");
  assert.equal(JSON.parse(done.stdout).reports[0].repair.index_slots_mended, 1);
  assert.deepEqual(
    JSON.parse((await run("doctor", "demo", "--json")).stdout).reports[0]
      .remediation_hints,
    [],
  );
});

command("doctor --all: sorted, unreadable pools are rows", async (dir, run) => {
  assert.equal((await run("doctor", "--all")).stdout, "No pools found.\n");
  assert.equal((await run("doctor", "--all", "--json")).stdout, '{"reports":[]}\n');
  for (const name of ["b", "a", "c"]) pool(`${dir}/${name}.plasmite`, 20);
  spoil(`${dir}/b.plasmite`);
  Deno.symlinkSync("d.plasmite", `${dir}/d.plasmite`); // a loop: Io whoever asks
  const { code, stdout } = await run("doctor", "--all", "--json");
  assert.equal(code, ErrorKind.Corrupt);
  const { reports } = JSON.parse(stdout);
  assert.deepEqual(
    reports.map((one: { pool_ref: string; status: string }) => [one.pool_ref, one.status]),
    [
      [`${dir}/a.plasmite`, "ok"],
      [`${dir}/b.plasmite`, "corrupt"],
      [`${dir}/c.plasmite`, "ok"],
      [`${dir}/d.plasmite`, "error"],
    ],
  );
  assert.equal(reports[3].error.kind, "Io");
  const repaired = await run("doctor", "--all", "--repair", "--json");
  assert.equal(repaired.code, ErrorKind.Io, "the loop is still there");
  const text = await run("doctor", "--all");
  assert.match(text.stdout, /^OK: .*a\.plasmite\nOK: .*b\.plasmite\nOK: .*c\.plasmite\nERROR: /);
});

// A quick check that stays silent about what it skipped would be taken for a full one.
command(
  "doctor --quick: the ends and a sample of a large pool, and what it skipped",
  async (dir, run) => {
    const path = `${dir}/p.plasmite`;
    const count = 12_000;
    {
      using client = new Client();
      using made = client.createPool(path, 24 << 20);
      const text = "x".repeat(1000);
      for (let n = 1; n <= count; n += 1000) {
        await made.appendBatch(Array.from({ length: 1000 }, (_, i) => ({ n: n + i, text })));
      }
    }
    const sound = Deno.readFileSync(path);
    const frames = new Map(specCheck(sound, false).messages.map((one) => [one.seq, one]));
    const ringStart = ringAt(sound);
    const quick = async (): Promise<{ code: number; issues: unknown[]; checked: number }> => {
      const { code, stdout } = await run("doctor", path, "--quick", "--json");
      const [report] = JSON.parse(stdout).reports;
      assert.equal(report.quick.of, count);
      return { code, issues: report.issues, checked: report.quick.checked };
    };
    const whole = await quick();
    assert.equal(whole.code, 0);
    assert(whole.checked > 5000 && whole.checked < count, `${whole.checked} checked`);
    const text = await run("doctor", path, "--quick");
    assert.match(
      text.stdout,
      /^OK: .*\n {2}checked: header, both ends, \d+ of 12000 messages — 0 issues\n/,
    );
    assert.match(text.stdout, /skipped: the other messages/);

    const spoil = (seq: bigint): void => {
      const bytes = sound.slice();
      const at = ringStart + (frames.get(seq)?.at ?? 0) + 64 + 300;
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      Deno.writeFileSync(path, bytes);
    };
    for (const seq of [1n, 2000n, 5120n, 7905n, 12_000n]) {
      spoil(seq);
      const { code, issues } = await quick();
      assert.equal(code, ErrorKind.Corrupt, `message ${seq}`);
      assert.equal(issues.length, 1);
    }
    // Between the ends only some are looked at; the full check finds what this one cannot.
    let missed = 0;
    for (const seq of [5001n, 5002n]) {
      spoil(seq);
      if ((await quick()).code === 0) missed++;
      assert.equal((await run("doctor", path)).code, ErrorKind.Corrupt);
    }
    assert(missed > 0);

    const both = await run("doctor", path, "--quick", "--repair");
    assert.equal(both.code, ErrorKind.Usage);
    assert.match(both.stderr, /--quick cannot be combined with --repair/);
  },
);

command("doctor: misuse is explained", async (dir, run) => {
  const refused = async (args: string[], code: number, message: string, hint: RegExp) => {
    const outcome = await run("doctor", ...args);
    assert.deepEqual([outcome.code, errorOf(outcome)["message"]], [code, message]);
    assert.match(String(errorOf(outcome)["hint"]), hint);
  };
  await refused(
    ["p", "--all"],
    2,
    "--all cannot be combined with a pool name",
    /Use --all by itself/,
  );
  await refused(["--json"], 2, "doctor requires a pool name or --all", /--all/);
  await refused(
    ["http://localhost:9700/p"],
    2,
    "doctor accepts local pool names or paths only",
    /name or a path/,
  );
  const none = await cli(["doctor"]);
  assert.deepEqual([none.code, none.stdout], [2, ""]);
  const missing = await cli(["--dir", `${dir}/none`, "doctor", "--all"]);
  assert.equal(missing.code, ErrorKind.NotFound);
  assert.equal(errorOf(missing)["message"], "failed to read pool directory");
  assert.equal(errorOf(missing)["path"], `${dir}/none`);
  const format = pool(`${dir}/v4.plasmite`, 1);
  view(format).setUint32(4, 4, true);
  Deno.writeFileSync(`${dir}/v4.plasmite`, format);
  const other = await run("doctor", "v4", "--json");
  assert.equal(other.code, ErrorKind.Corrupt);
  const [report] = JSON.parse(other.stdout).reports;
  assert.equal(report.issues[0].code, "format");
  assert.equal(report.issues[0].message, "unsupported pool format version 4 (supported: 3)");
  assert.equal(report.prognosis.repairable, false);
});

Deno.test({
  name: "doctor: on a terminal",
  ignore: !hasScript,
  fn: () =>
    inTemp(async (dir) => {
      const env = { HOME: dir };
      const at = quote(dir);
      for (const name of ["demo", "other"]) pool(`${dir}/${name}.plasmite`, 20);
      assert.equal(
        (await onTerminal(`$P --dir ${at} doctor demo`, { env })).screen,
        "demo: healthy\n  messages:  20 (seq 1..20)\n  checked:   header, index, ring — 0 issues\n",
      );
      assert.equal(
        (await onTerminal(`$P --dir ${at} doctor --all`, { env })).screen,
        "All 2 pools healthy.\n\n  demo    20 messages   0 issues\n  other   20 messages   0 issues\n",
      );
      spoil(`${dir}/demo.plasmite`);
      const { screen, code } = await onTerminal(`$P --dir ${at} doctor demo`, { env });
      assert.equal(code, ErrorKind.Corrupt);
      assert.match(screen, /^demo: corrupt\n {2}messages: {2}20 \(seq 1\.\.20\)\n/);
      assert.match(screen, /ring — 3 issues\n {2}detail: {4}payload checksum mismatch/);
      assert.equal(
        (await onTerminal(`$P --dir ${at} doctor --all`, { env })).screen,
        "1 of 2 pools unhealthy.\n\n" +
          "The message's content changed on disk; reading it fails or gives something else.\n" +
          "  ✗ demo    20 messages   3 issues  (run `pls doctor demo` for detail)\n\n" +
          "Healthy.\n" +
          "  ✓ other   20 messages   0 issues\n",
      );
      const mended = (await onTerminal(`$P --dir ${at} doctor demo --repair`, { env })).screen;
      assert.match(mended, /^demo: repaired\n/);
      assert.match(mended, /\n {2}lost: {6}messages 5, 9, 12\.\.13: /);
    }),
});

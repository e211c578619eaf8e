/**
 * Conditional and repeatable appends with `feed`: two people must not both win, nothing must be
 * stored twice or lost when a command is killed and repeated (docs/spec/coordination.md 3 and 4).
 *
 * @module
 */

import assert from "node:assert/strict";
import { start } from "../support/processes.ts";
import { serve } from "../client/remote_util.ts";
import { SCALE } from "../support/rings.ts";
import {
  CLI,
  cli,
  command,
  errorOf,
  hasScript,
  inTemp,
  onTerminal,
  type Outcome,
  quote,
} from "./cli_util.ts";

interface Receipt {
  readonly duplicate?: boolean;
  readonly meta: { readonly tags: string[] };
  readonly seq: number;
  readonly time: string;
}

const receipts = ({ stdout }: Outcome): Receipt[] =>
  stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));

/** Runs `feed POOL` in `dir`; stdin is what is fed unless data is among the arguments. */
const feed = (dir: string, args: readonly string[], stdin?: string): Promise<Outcome> =>
  cli(["--dir", dir, "feed", "p", "--create", ...args], stdin === undefined ? {} : { stdin });

async function stored(dir: string): Promise<{ data: unknown; seq: number; meta: unknown }[]> {
  const { stdout } = await cli(["--dir", dir, "follow", "p", "--no-follow", "--jsonl"]);
  return stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

Deno.test("--expect: who saw an older state is refused with both numbers, and stores nothing", async () => {
  await inTemp(async (dir) => {
    assert.equal((await feed(dir, ["--expect", "none", '{"n":1}'])).code, 0);
    assert.equal((await feed(dir, ["--expect", "1", '{"n":2}'])).code, 0);
    for (const expect of ["1", "0", "none"]) {
      const late = await feed(dir, ["--expect", expect, '{"n":3}']);
      assert.equal(late.code, 10);
      const { kind, message, expected, actual, hint } = errorOf(late);
      assert.equal(kind, "Conflict");
      assert.equal(message, `pool is at 2, expected ${expect === "1" ? 1 : "none"}`);
      assert.deepEqual([expected, actual], [expect === "1" ? 1 : 0, 2]);
      assert.match(String(hint), /fetch p 2.*--expect 2/);
    }
    assert.equal((await stored(dir)).length, 2);
  });
});

Deno.test("--key: only messages with that key count, and the tag is there once, in its place", async () => {
  await inTemp(async (dir) => {
    const args = ["--tag", "t", "--tag", "key:k", "--key", "k", "--id", "x"];
    const [first] = receipts(await feed(dir, [...args, "--expect", "none", '{"n":1}']));
    assert.deepEqual(first?.meta.tags, ["t", "key:k", "id:x"]);
    await feed(dir, ['{"n":2}']);
    assert.equal((await feed(dir, ["--key", "k", "--expect", "1", '{"n":3}'])).code, 0);
    const late = await feed(dir, ["--key", "k", "--expect", "1", '{"n":4}']);
    assert.equal(errorOf(late)["key"], "k");
    assert.equal(errorOf(late)["actual"], 3);
    const other = await feed(dir, ["--key", "new", "--expect", "none", '{"n":5}']);
    assert.equal(other.code, 0);
  });
});

Deno.test("messages of other programs count: their keys for --expect, their ids for --id", async () => {
  await inTemp(async (dir) => {
    await feed(dir, ['{"n":1}']);
    await using foreign = start("foreign_feed.ts", `${dir}/p.plasmite`, "1", "key:k", "id:x");
    assert.equal(await foreign.line(), "2");
    const late = await feed(dir, ["--key", "k", "--expect", "none", '{"n":2}']);
    assert.deepEqual([late.code, errorOf(late)["actual"]], [10, 2]);
    const known = await feed(dir, ["--id", "x", '{"foreign":0}']);
    assert.deepEqual(receipts(known).map(({ seq, duplicate }) => [seq, duplicate]), [[2, true]]);
    assert.equal((await feed(dir, ["--id", "x", '{"foreign":1}'])).code, 10);
    const { stdout } = await cli(["--dir", dir, "latest", "p", "--key", "k"]);
    assert.equal(JSON.parse(stdout).seq, 2);
    // A typed tag is found as well, and never checked itself.
    assert.equal((await feed(dir, ["--tag", "id:x", '{"foreign":1}'])).code, 0);
  });
});

Deno.test("Lite3 messages bring their own tags: key and id are refused, nothing is stored", async () => {
  await inTemp(async (dir) => {
    await feed(dir, ['{"n":1}']);
    const file = `${dir}/frames`;
    const program = command(["--dir", dir, "follow", "p", "--no-follow", "--format", "lite3"]);
    await new Deno.Command("sh", { args: ["-c", `${program} > ${quote(file)}`] }).output();
    for (const args of [["--key", "k"], ["--id", "auto"], ["--id-from", ".data.n"]]) {
      const refused = await feed(dir, [...args, "--file", file]);
      assert.equal(refused.code, 2, args.join(" "));
      assert.match(String(errorOf(refused)["hint"]), /--key, --id/);
    }
    assert.equal((await stored(dir)).length, 1);
  });
});

Deno.test("--id: a repeated command stores once, and its receipt is that of the stored message", async () => {
  await inTemp(async (dir) => {
    const [first] = receipts(await feed(dir, ["--tag", "a", "--id", "x", '{"n":1,"m":2}']));
    const again = await feed(dir, ["--tag", "b", "--id", "x", '{"m":2,"n":1}']);
    assert.equal(again.code, 0);
    assert.deepEqual(receipts(again), [{ duplicate: true, ...first }]);
    // A conditional append that was stored must not fail when it is repeated.
    const conditional = ["--id", "y", "--expect", "1", '{"n":2}'];
    assert.equal(receipts(await feed(dir, conditional))[0]?.duplicate, undefined);
    assert.equal(receipts(await feed(dir, conditional))[0]?.duplicate, true);
    const other = await feed(dir, ["--id", "x", '{"n":1.0,"m":2}']);
    assert.equal(other.code, 10);
    const { id, seq } = errorOf(other);
    assert.deepEqual([id, seq], ["x", 1]);
    assert.equal((await stored(dir)).length, 2);
  });
});

Deno.test("--id-window: inside the window an id is known, outside it is stored again", async () => {
  await inTemp(async (dir) => {
    await feed(dir, ["--id", "x", '{"n":1}']);
    await feed(dir, [], '{"n":2}\n{"n":3}\n'); // newest is 3; the last 3 reach back to 1
    const inside = await feed(dir, ["--id", "x", "--id-window", "3", '{"n":1}']);
    assert.equal(receipts(inside)[0]?.duplicate, true);
    const outside = await feed(dir, ["--id", "x", "--id-window", "2", '{"n":1}']);
    assert.deepEqual(receipts(outside).map(({ seq, duplicate }) => [seq, duplicate]), [
      [4, undefined],
    ]);
  });
});

Deno.test("--id-from: a file that is fed again is stored once, receipts stay in order", async () => {
  await inTemp(async (dir) => {
    const file = '{"e":"a"}\n{"e":7}\n{"e":"a"}\n{"e":9007199254740993}\n';
    const first = receipts(await feed(dir, ["--id-from", ".data.e"], file));
    assert.deepEqual(first.map(({ seq, duplicate = false }) => [seq, duplicate]), [
      [1, false],
      [2, false],
      [1, true],
      [3, false],
    ]);
    assert.deepEqual(first[3]?.meta.tags, ["id:9007199254740993"]);
    const again = receipts(await feed(dir, ["--id-from", ".data.e"], `{"e":"new"}\n${file}`));
    assert.deepEqual(again.map(({ seq }) => seq), [4, 1, 2, 1, 3]);
    assert.deepEqual(again.map(({ duplicate = false }) => duplicate), [
      false,
      true,
      true,
      true,
      true,
    ]);
  });
});

Deno.test("--id-from: jq itself, copied messages with their number, records without an id", async () => {
  await inTemp(async (dir) => {
    const upper = await feed(dir, ["--id-from", ".data.e | ascii_upcase | @base64"], '{"e":"a"}\n');
    assert.deepEqual(receipts(upper)[0]?.meta.tags, ["id:QQ=="]);
    const message =
      '{"data":{"x":1},"meta":{"tags":["t"]},"seq":41,"time":"2026-01-02T03:04:05Z"}\n';
    const copy = await feed(dir, ["--key", "k", "--id-from", '"\\(.seq)@\\(.time)"'], message);
    assert.deepEqual(receipts(copy)[0]?.meta.tags, ["t", "key:k", "id:41@2026-01-02T03:04:05Z"]);
    for (
      const [expression, line, what] of [
        [".data.e", '{"f":1}', "an error"],
        [".data", '{"f":1}', "{"],
        [".data.e[]", '{"e":[1,2]}', "2 values"],
        [".data.e[]?", '{"e":[]}', "no value"],
        [".seq", '{"e":1}', "an error"],
        ['"\\(.data.e)-\\(.data.f)"', '{"e":1}', "an error"],
        [".data.e | @base64 | empty", '{"e":"1"}', "no value"],
      ] as const
    ) {
      const before = expression === ".data.e" ? '{"e":"ok"}\n' : "";
      const outcome = await feed(dir, ["--id-from", expression], `${before}${line}\n`);
      assert.equal(outcome.code, 2, expression);
      const { kind, hint, causes } = errorOf(outcome);
      assert.equal(kind, "Usage");
      assert.ok(String(hint).includes(`yielded ${what}`), String(hint));
      if (before !== "") assert.deepEqual(causes, ["in the record on line 2"]);
    }
    for (
      const [expression, line, id] of [
        ['"\\(.data.a)/\\(.data.b[1])"', '{"a":"x","b":[0,1.0]}', "x/1.0"],
        ['.data["odd name"]', '{"odd name":1.0}', "1.0"],
        ['.data.a + "-" + .data.b', '{"a":"x","b":"y"}', "x-y"],
        ['.data.x? // "none"', '{"q":1}', "none"],
      ] as const
    ) {
      const outcome = await feed(dir, ["--id-from", expression], `${line}\n`);
      assert.deepEqual(receipts(outcome)[0]?.meta.tags, [`id:${id}`], expression);
    }
    const skipped = await feed(dir, ["-e", "skip", "--id-from", ".data.z"], '{"f":1}\n{"z":1}\n');
    assert.equal(skipped.code, 1);
    assert.equal(receipts(skipped).length, 1);
  });
});

Deno.test("--errors skip: a used id costs its own record only; without it all before stay", async () => {
  await inTemp(async (dir) => {
    await feed(dir, ["--id", "2", '{"e":2}']);
    const input = '{"e":1}\n{"e":2,"other":true}\n{"e":3}\n';
    const stop = await feed(dir, ["--id-from", ".data.e"], input);
    assert.equal(stop.code, 10);
    assert.deepEqual(receipts(stop).map(({ meta }) => meta.tags), [["id:1"]]);
    const skip = await feed(dir, ["-e", "skip", "--id-from", ".data.e"], input);
    assert.equal(skip.code, 1);
    assert.deepEqual(receipts(skip).map(({ seq, duplicate = false }) => [seq, duplicate]), [
      [2, true],
      [3, false],
    ]);
    const notices = skip.stderr.trim().split("\n").map((line) => JSON.parse(line).notice);
    assert.deepEqual(notices.map(({ kind }) => kind), ["ingest_skip", "ingest_summary"]);
    const { error_kind, index, line, snippet } = notices[0].details;
    assert.deepEqual([error_kind, index, line, snippet], [
      "Conflict",
      2,
      2,
      '{"e":2,"other":true}',
    ]);
    assert.deepEqual([notices[1].details.ok, notices[1].details.failed], [2, 1]);
  });
});

// Lost: the error named message 0, which nobody finds, in an input of thousands of records.
Deno.test("two records of one input with the same id and other data: the error names both", async () => {
  await inTemp(async (dir) => {
    await using server = serve({ dir });
    const input = '{"e":0}\n\n{"e":1,"n":1}\n{"e":2}\n{"e":1,"n":2}\n';
    const whole = ["--id-from", ".data.e", "--atomic"];
    server.local.createPool("far").close();
    for (
      const run of [
        await feed(dir, whole, input),
        await cli(["feed", `${server.url}/far`, ...whole], { stdin: input }),
      ]
    ) {
      assert.equal(run.code, 10);
      assert.equal(run.stdout, "");
      const { causes, hint, id, other_record, record, seq } = errorOf(run);
      assert.deepEqual([id, other_record, record, seq], ["1", 2, 4, undefined]);
      assert.equal(hint, "Records 2 and 4 of this input have the same id and different data.");
      assert.deepEqual(causes, ["in the records on lines 3 and 5"]);
    }
    // Of several the first.
    const three = await feed(dir, whole, input + '{"e":0,"n":5}\n{"e":1,"n":3}\n');
    assert.deepEqual([errorOf(three)["other_record"], errorOf(three)["record"]], [2, 4]);
    // Record by record it is the message that was stored just before.
    const one = await feed(dir, ["--id-from", ".data.e"], input);
    assert.equal(one.code, 10);
    assert.equal(
      errorOf(one)["seq"],
      receipts(one).find(({ meta }) => meta.tags[0] === "id:1")?.seq,
    );
    // The first that is wrong is told, whether the other one is stored or in the same input.
    const twins = '{"e":7,"n":1}\n{"e":7,"n":2}\n';
    const stored = '{"e":0,"n":5}\n';
    const first = errorOf(await feed(dir, whole, twins + stored));
    assert.deepEqual([first["other_record"], first["record"], first["seq"]], [1, 2, undefined]);
    const last = errorOf(await feed(dir, whole, stored + twins));
    assert.deepEqual([last["record"], last["seq"]], [undefined, 1]);
    const line = (n: number, e: number): string =>
      `{"seq":${n},"time":"2026-01-01T00:00:00Z","meta":{"tags":[]},"data":{"e":${e},"n":${n}}}\n`;
    const copied = await cli(["--dir", dir, "import", "q", "--create", "--id-from", ".data.e"], {
      stdin: line(1, 1) + line(2, 2) + line(3, 2),
    });
    assert.equal(copied.code, 10);
    assert.deepEqual([errorOf(copied)["other_record"], errorOf(copied)["record"]], [2, 3]);
    assert.doesNotMatch(copied.stderr, /undefined/);
    // Counted from the beginning of the input, also behind what was stored before.
    const many = Array.from({ length: 8000 }, (_, i) => line(i + 1, i + 1)).join("");
    const late = await cli(["--dir", dir, "import", "r", "--create", "--id-from", ".data.e"], {
      stdin: many + line(8001, 9000) + line(8002, 9000),
    });
    assert.equal(late.code, 10, late.stderr);
    assert.deepEqual([errorOf(late)["other_record"], errorOf(late)["record"]], [8001, 8002]);
    const lines = await fetch(`${server.url}/v0/pools/far/append_batch`, {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: '{"data":{"n":1},"id":"x"}\n{"data":{"n":2},"id":"x"}\n',
    });
    assert.equal(lines.status, 409);
    const { error } = await lines.json();
    assert.deepEqual([error.id, error.other_record, error.record, error.seq], [
      "x",
      1,
      2,
      undefined,
    ]);
  });
});

Deno.test("--id auto: equal records are stored once, others are not", async () => {
  await inTemp(async (dir) => {
    const input = '{"a":1}\n{"a":2}\n{"a":1}\n';
    const first = receipts(await feed(dir, ["--id", "auto"], input));
    assert.deepEqual(first.map(({ seq }) => seq), [1, 2, 1]);
    assert.match(first[0]?.meta.tags[0] ?? "", /^id:auto-[0-9a-f]{32}$/);
    const again = receipts(await feed(dir, ["--id", "auto"], input));
    assert.deepEqual(again.map(({ seq, duplicate }) => [seq, duplicate]), [
      [1, true],
      [2, true],
      [1, true],
    ]);
    const tagged = receipts(await feed(dir, ["--id", "auto", "--tag", "t", '{"a":1}']));
    assert.equal(tagged[0]?.seq, 3);
  });
});

Deno.test("--atomic: all of the input or nothing, and never more than half the pool", async () => {
  await inTemp(async (dir) => {
    const three = '{"n":1}\n{"n":2}\n{"n":3}\n';
    for (const args of [["--expect", "none"], ["--id", "x"]]) {
      const several = await feed(dir, args, three);
      assert.equal(several.code, 2, args.join(" "));
    }
    assert.equal((await feed(dir, ["--id", "x", "--atomic"], three)).code, 2);
    assert.equal((await feed(dir, ["--expect", "none", '{"n":1} {"n":2}'])).code, 2);
    assert.deepEqual(await stored(dir), []);
    const whole = await feed(dir, ["--expect", "none", "--atomic"], three);
    assert.deepEqual(receipts(whole).map(({ seq }) => seq), [1, 2, 3]);
    const bad = await feed(dir, ["--atomic"], `${three}nonsense\n`);
    assert.equal(bad.code, 2);
    assert.equal(bad.stdout, "");
    assert.equal((await feed(dir, ["--expect", "3", "--atomic", '{"n":4} {"n":5}'])).code, 0);
    const large = `{"n":"${"x".repeat(60_000)}"}\n`.repeat(10);
    const much = await feed(dir, ["--atomic"], large);
    assert.equal(much.code, 2);
    assert.equal(errorOf(much)["message"], "batch too large for a conditional append");
    assert.equal((await stored(dir)).length, 5);
  });
});

Deno.test("what the options cannot mean is told before a pool is made", async () => {
  await inTemp(async (dir) => {
    for (
      const args of [
        ["--expect", "x", "{}"],
        ["--expect", "18446744073709551616", "{}"],
        ["--id", "", "{}"],
        ["--id", "a\tb", "{}"],
        ["--key", "k".repeat(257), "{}"],
        ["--id", "a", "--id-from", ".data", "{}"],
        ["--id-window", "5", "{}"],
        ["--id", "a", "--id-window", "0", "{}"],
        ["--id", "a", "--id-window", "1000001", "{}"],
        ["--id-from", ".data.", "{}"],
        ["--id", "a", "{} {}"],
      ]
    ) {
      const outcome = await feed(dir, args);
      assert.equal(outcome.code, 2, args.join(" "));
      assert.equal([...Deno.readDirSync(dir)].length, 0, args.join(" "));
    }
  });
});

Deno.test(
  "on a terminal a duplicate is told as already stored",
  { ignore: !hasScript },
  async () => {
    await inTemp(async (dir) => {
      const line = `$P --dir '${dir}' feed p --create --id x '{"n":1}'`;
      await onTerminal(line);
      const { screen } = await onTerminal(line);
      assert.match(screen, /^already stored seq=1 at \d{4}-.*tags: id:x/);
    });
  },
);

// ---- many at once, and killed ---------------------------------------------------------------------

// Two that act on the same state: one of them works on what is no longer so.
Deno.test("many processes with --expect and a foreign writer: each message follows what its writer saw", async () => {
  await inTemp(async (dir) => {
    await feed(dir, ['{"seen":0}']);
    await using foreign = start("foreign_feed.ts", `${dir}/p.plasmite`, String(40 * SCALE));
    let conflicts = 0;
    const writer = async (name: number): Promise<void> => {
      let seen = 1;
      for (let i = 0; i < 6 * SCALE; i++) {
        const args = ["--expect", String(seen), `{"name":${name},"seen":${seen}}`];
        const outcome = await feed(dir, args);
        if (outcome.code === 0) seen = receipts(outcome)[0]?.seq ?? 0;
        else {
          assert.equal(outcome.code, 10, outcome.stderr);
          conflicts++;
          seen = Number(errorOf(outcome)["actual"]);
        }
      }
    };
    await Promise.all([1, 2, 3, 4].map(writer));
    foreign.kill();
    const messages = await stored(dir);
    let ours = 0;
    messages.forEach(({ data, seq }, i) => {
      assert.equal(seq, i + 1);
      const { seen } = data as { seen?: number };
      if (seen !== undefined) assert.equal(seen, seq - 1);
      if (seen !== undefined) ours++;
    });
    assert.ok(ours > 1 && conflicts > 0, `${ours} stored, ${conflicts} conflicts`);
    assert.equal(ours + conflicts, 24 * SCALE + 1);
  });
});

// A script that repeats what was killed must neither lose an order nor place it twice.
const killsChildren = Deno.build.os === "linux";
Deno.test("feed with ids killed at random and repeated: each record once, in order", {
  ignore: !killsChildren, // A shell's children are found by way of /proc.
}, async () => {
  await inTemp(async (dir) => {
    const count = 400 * SCALE;
    const lines = Array.from({ length: count }, (_, i) => `{"n":${i + 1}}\n`);
    await Deno.writeTextFile(`${dir}/in`, lines.join(""));
    await feed(dir, ["--create-size", `${1 + SCALE}M`, '{"n":0}']);
    let kills = 0;
    for (let delay = 5;; delay = 30 + Math.random() * 60) {
      const child = new Deno.Command("bash", {
        // The input comes slowly, so that kills meet appends.
        args: [
          "-c",
          `while read -r line; do echo "$line"; done < in | exec "$@" > /dev/null`,
          "bash",
          Deno.execPath(),
          ...["run", "-A", "--quiet", CLI, "--dir", dir, "feed", "p", "--id-from", ".data.n"],
        ],
        cwd: dir,
        stderr: "null",
        stdin: "null",
      }).spawn();
      // A feed whose input alone was killed ends well, too, with a part of the records.
      let isKilled = false;
      const kill = (): void => {
        isKilled = true;
        killTree(child.pid);
      };
      const timer = kills < 12 * SCALE ? setTimeout(kill, delay) : undefined;
      const { code } = await child.status;
      clearTimeout(timer);
      if (code === 0 && !isKilled) break;
      kills++;
    }
    const numbers = (await stored(dir)).map(({ data }) => (data as { n: number }).n);
    assert.deepEqual(numbers, Array.from({ length: count + 1 }, (_, i) => i));
  });
});

/** Kills the feed that a shell started, and with it the shell's pipe. */
function killTree(pid: number): void {
  let children: string[] = [];
  try {
    children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim().split(" ");
  } catch {
    // It has ended already.
  }
  for (const child of children) {
    try {
      if (child !== "") Deno.kill(Number(child), "SIGKILL");
    } catch {
      // It has ended already.
    }
  }
}

/**
 * Readers with a named cursor, in real processes: whoever is killed, cut off or restarted must go on
 * where it was, and must be told when that is impossible (docs/spec/coordination.md 2).
 *
 * @module
 */

import assert from "node:assert/strict";
import { LocalBackend } from "../../lib/backend/local.ts";
import { nodes } from "../../lib/cli/completion.ts";
import type { Delivery } from "../../lib/cli/cursor_delivery.ts";
import { CursorSession } from "../../lib/cli/cursor_session.ts";
import type { DropNotices } from "../../lib/cli/drops.ts";
import { SERVER_ACCESS } from "../../lib/cli/table.ts";
import { SCALE } from "../support/rings.ts";
import {
  CLI,
  cli,
  errorOf,
  hasScript,
  inTemp,
  onTerminal,
  type Outcome,
  spawnCli,
} from "./cli_util.ts";

const run = (dir: string, ...args: string[]): Promise<Outcome> => cli(["--dir", dir, ...args]);

const seqs = (text: string): number[] =>
  text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line).seq);

const notices = ({ stderr }: Outcome): { kind: string; details: Record<string, unknown> }[] =>
  stderr.split("\n").filter((line) => line.startsWith('{"notice"')).map((line) =>
    JSON.parse(line).notice
  );

/** Reads what is there with a cursor. */
const next = (dir: string, cursor: string, ...more: string[]): Promise<Outcome> =>
  run(dir, "follow", "p", "--cursor", cursor, "--no-follow", "--jsonl", ...more);

/** Appends messages `{"n":1}` … to pool p. */
async function fill(dir: string, count: number, size = "4M", tag?: string): Promise<void> {
  const lines = Array.from({ length: count }, (_, i) => `{"n":${i + 1}}\n`);
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, lines.join(""));
  const tags = tag === undefined ? [] : ["--tag", tag];
  await run(dir, "feed", "p", "--create-size", size, "--file", file, ...tags);
  await Deno.remove(file);
}

interface Row {
  readonly name: string;
  readonly kind: string;
  readonly seq: number;
  readonly lag: number;
  readonly lost: number;
  readonly in_use: { readonly pid: number } | null;
}

async function row(dir: string, name: string): Promise<Row> {
  const { stdout } = await run(dir, "cursor", "list", "p", "--json");
  const { cursors } = JSON.parse(stdout) as { cursors: Row[] };
  const found = cursors.find((one) => one.name === name);
  assert.ok(found !== undefined, stdout);
  return found;
}

/** Starts the program with pipes. */
function spawn(dir: string, ...args: string[]): Deno.ChildProcess {
  return spawnCli(["--dir", dir, ...args], {
    stdin: "piped",
    stdout: "piped",
  });
}

/** Reads from a stream until `enough`, and returns the text so far. */
async function readUntil(
  stream: ReadableStreamDefaultReader<Uint8Array>,
  enough: (text: string) => boolean,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  while (!enough(text)) {
    const { done, value } = await stream.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  return text;
}

Deno.test("a cursor reads what is retained, and then what came since, each message once", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 3);
    assert.deepEqual(seqs((await next(dir, "c")).stdout), [1, 2, 3]);
    assert.deepEqual(await next(dir, "c"), { code: 0, stdout: "", stderr: "" });
    await fill(dir, 2);
    assert.deepEqual(seqs((await next(dir, "c", "--one")).stdout), [4]);
    assert.deepEqual(seqs((await next(dir, "other", "--one")).stdout), [1]);
    assert.deepEqual(seqs((await next(dir, "c")).stdout), [5]);
    const { kind, seq, lag, lost, in_use } = await row(dir, "c");
    assert.deepEqual([kind, seq, lag, lost, in_use], ["cursor", 5, 0, 0, null]);
    assert.equal((await row(dir, "other")).lag, 4);
  });
});

// journalctl with a cursor file and no match wrote none: the next run began anywhere.
Deno.test("where a new cursor starts is saved at once, also when nothing matches", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 10);
    const cases: [args: string[], printed: number[], seq: number][] = [
      [["--from", "oldest", "--one"], [1], 1],
      [["--from", "end"], [], 10],
      [["--from", "9"], [9, 10], 10],
      [["--tail", "2"], [9, 10], 10],
      [["--tail", "0"], [], 10],
      [["--since", "1h", "--one"], [1], 1],
      [["--since", "0s"], [], 10],
      [["--tail", "3", "--tag", "none"], [], 10],
      [["--where", ".data.n == 4"], [4], 10],
    ];
    for (const [i, [args, printed, seq]] of cases.entries()) {
      const outcome = await next(dir, `c${i}`, ...args);
      assert.equal(outcome.code, 0, args.join(" "));
      assert.deepEqual(seqs(outcome.stdout), printed, args.join(" "));
      assert.equal((await row(dir, `c${i}`)).seq, seq, args.join(" "));
    }
    const again = await next(dir, "c0", "--tail", "1");
    assert.deepEqual(seqs(again.stdout), [2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const [notice] = notices(again);
    assert.equal(notice?.kind, "cursor_exists");
    assert.deepEqual([notice?.details["cursor"], notice?.details["seq"]], ["c0", 1]);
  });
});

Deno.test("a filter does not hold the cursor back, and nothing comes twice", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 5, "4M", "x");
    await fill(dir, 5, "4M", "y");
    assert.deepEqual(seqs((await next(dir, "c", "--tag", "x")).stdout), [1, 2, 3, 4, 5]);
    assert.equal((await row(dir, "c")).lag, 0);
    await fill(dir, 1, "4M", "x");
    assert.deepEqual(seqs((await next(dir, "c", "--tag", "x")).stdout), [11]);
  });
});

Deno.test("what was overwritten is told with its exact number; --error-on-gap stays in front of it", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 2, "64K");
    await next(dir, "c");
    await next(dir, "d");
    await fill(dir, 2000);
    const { stdout } = await run(dir, "pool", "info", "p", "--json");
    const oldest: number = JSON.parse(stdout).bounds.oldest;
    const refused = await next(dir, "d", "--error-on-gap");
    assert.equal(refused.code, 9);
    assert.equal(refused.stdout, "");
    const { kind, seq, cursor, hint } = errorOf(refused);
    assert.deepEqual([kind, seq, cursor], ["RetentionGap", 3, "d"]);
    assert.match(String(hint), /cursor set p d --from oldest/);
    const { seq: position, lost } = await row(dir, "d");
    assert.deepEqual([position, lost], [2, oldest - 3]);
    const told = await next(dir, "c");
    assert.equal(told.code, 1);
    assert.equal(seqs(told.stdout)[0], oldest);
    assert.deepEqual(notices(told).map((one) => one.details["dropped_count"]), [oldest - 3]);
    assert.equal(notices(told)[0]?.details["last_seen_seq"], 2);
    // A filter that nothing matches must not hide it.
    await run(dir, "cursor", "set", "p", "d", "2");
    assert.equal((await next(dir, "d", "--tag", "none")).code, 1);
  });
});

Deno.test("a pool that was replaced is never read as if it were the old one", async (t) => {
  /** Makes the pool one that programs without an identity made. */
  const unstamp = (path: string): void => {
    using file = Deno.openSync(path, { write: true });
    file.seekSync(128, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array(64));
  };
  const cases: [name: string, replace: (dir: string) => Promise<void>][] = [
    ["by a shorter one", async (dir) => {
      await run(dir, "pool", "delete", "p");
      await fill(dir, 3);
      await Deno.mkdir(`${dir}/p.cursors`, { recursive: true });
    }],
    ["by a longer one", async (dir) => {
      Deno.removeSync(`${dir}/p.plasmite`);
      await fill(dir, 30);
    }],
    ["by another program's, longer", async (dir) => {
      Deno.removeSync(`${dir}/p.plasmite`);
      await fill(dir, 30);
      unstamp(`${dir}/p.plasmite`);
    }],
    ["by another program's, shorter", async (dir) => {
      Deno.removeSync(`${dir}/p.plasmite`);
      await fill(dir, 3);
      unstamp(`${dir}/p.plasmite`);
    }],
    ["by an older backup", (dir) => Deno.copyFile(`${dir}/backup`, `${dir}/p.plasmite`)],
    ["by an older backup that grew", async (dir) => {
      await Deno.copyFile(`${dir}/backup`, `${dir}/p.plasmite`);
      await fill(dir, 30);
    }],
  ];
  for (const [name, replace] of cases) {
    await t.step(name, () =>
      inTemp(async (dir) => {
        await fill(dir, 5);
        await Deno.copyFile(`${dir}/p.plasmite`, `${dir}/backup`);
        await fill(dir, 5);
        await next(dir, "c");
        const slots = Deno.readFileSync(`${dir}/p.cursors/c`);
        await replace(dir);
        // Deleting a pool deletes its cursors; other programs do not know of them.
        Deno.writeFileSync(`${dir}/p.cursors/c`, slots);
        const refused = await next(dir, "c");
        assert.equal(refused.code, 3, refused.stdout);
        assert.equal(refused.stdout, "");
        assert.match(String(errorOf(refused)["hint"]), /cursor set p c --from oldest/);
        assert.equal((await run(dir, "cursor", "set", "p", "c", "--from", "end")).code, 0);
        assert.deepEqual(await next(dir, "c"), { code: 0, stdout: "", stderr: "" });
      }));
  }
});

Deno.test("a second reader of a cursor is refused with the first one's pid", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 1);
    await using first = spawn(dir, "follow", "p", "--cursor", "c", "--jsonl");
    const reader = first.stdout.getReader();
    await readUntil(reader, (text) => text.includes("\n"));
    for (const args of [["follow", "p", "--cursor", "c"], ["cursor", "set", "p", "c", "0"]]) {
      const second = await run(dir, ...args);
      assert.equal(second.code, 5);
      const { message, pid, cursor } = errorOf(second);
      assert.deepEqual([pid, cursor], [first.pid, "c"]);
      assert.match(String(message), new RegExp(`in use by pid ${first.pid}`));
    }
    assert.equal((await run(dir, "cursor", "delete", "p", "c")).code, 5);
    assert.equal((await row(dir, "c")).in_use?.pid, first.pid);
    first.kill("SIGKILL");
    await reader.cancel();
    await first.stdin.close().catch(() => {});
    await first.status;
    assert.equal((await next(dir, "c")).code, 0);
  });
});

Deno.test("a file that is damaged is told as such, and cursor set repairs it", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 3);
    await next(dir, "c");
    const path = `${dir}/p.cursors/c`;
    Deno.writeFileSync(path, Deno.readFileSync(path).fill(0x78));
    const refused = await next(dir, "c");
    assert.equal(refused.code, 7);
    assert.match(String(errorOf(refused)["hint"]), /cursor set p c/);
    const { stdout, code } = await run(dir, "cursor", "list", "p", "--json");
    assert.equal(code, 0);
    assert.equal(JSON.parse(stdout).cursors[0].error.kind, "Corrupt");
    const set = await run(dir, "cursor", "set", "p", "c", "1", "--json");
    assert.equal(JSON.parse(set.stdout).cursor.seq, 1);
    assert.deepEqual(seqs((await next(dir, "c")).stdout), [2, 3]);
    const removed = await run(dir, "cursor", "delete", "p", "c", "--json");
    assert.deepEqual(JSON.parse(removed.stdout), { deleted: { cursor: "c", pool: "p" } });
    assert.equal((await run(dir, "cursor", "delete", "p", "c")).code, 3);
    assert.equal((await run(dir, "cursor", "set", "p", "c", "4")).code, 2);
  });
});

// ---- acknowledged is what the pipe took -----------------------------------------------------------

Deno.test("SIGTERM while nobody reads: the cursor stands at the last line that the pipe took whole", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 5000);
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const name = signal.toLowerCase();
      await using child = spawn(dir, "follow", "p", "--cursor", name, "--jsonl");
      const reader = child.stdout.getReader();
      const decoder = new TextDecoder();
      const first = await reader.read();
      let text = decoder.decode(first.value, { stream: true });
      // The pipe is full once nothing is acknowledged any more; then it writes and cannot go on.
      for (let before = -1, now = 0; now === 0 || now !== before;) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        before = now;
        now = (await row(dir, name)).seq;
        if (now === 0 && before === 0) break;
      }
      child.kill(signal);
      const { signal: ended } = await child.status;
      assert.equal(ended, signal);
      text += await readUntil(reader, () => false);
      await child.stdin.close().catch(() => {});
      const whole = text.slice(0, text.lastIndexOf("\n") + 1);
      const { seq } = await row(dir, name);
      assert.equal(seq, seqs(whole).at(-1));
      assert.ok(seq > 5 && seq < 5000, `${seq}`);
    }
  });
});

Deno.test("a reader that goes away: what it was given whole is done, the rest comes again", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 5000);
    const args = [
      "run",
      "-A",
      "--quiet",
      CLI,
      "--dir",
      dir,
      "follow",
      "p",
      "--cursor",
      "c",
      "--jsonl",
    ];
    const head = new Deno.Command("bash", {
      args: ["-c", `"$@" | head -5; exit \${PIPESTATUS[0]}`, "bash", Deno.execPath(), ...args],
      stdin: "null",
    });
    let expected = 1;
    for (let i = 0; i < 3; i++) {
      const { code, stdout } = await head.output();
      assert.equal(code, 0);
      const [first] = seqs(new TextDecoder().decode(stdout));
      assert.equal(first, expected);
      const { seq } = await row(dir, "c");
      assert.ok(seq >= expected + 4 && seq < 5000, `${seq}`);
      expected = seq + 1;
    }
    // One message that is larger than a pipe was not read whole.
    await cli(["--dir", dir, "feed", "big", "--create"], {
      stdin: `{"n":1}\n{"n":"${"x".repeat(300_000)}"}\n`,
    });
    const big = new Deno.Command("bash", {
      args: [
        "-c",
        `"$@" | (head -c 60000 > /dev/null)`,
        "bash",
        Deno.execPath(),
        ...args.map((one) => one === "p" ? "big" : one),
      ],
      stdin: "null",
    });
    assert.equal((await big.output()).code, 0);
    const { stdout } = await run(dir, "cursor", "list", "big", "--json");
    assert.equal(JSON.parse(stdout).cursors[0].seq, 1);
  });
});

// Lost mail after a restart, or a backlog done twice.
Deno.test("a reader that is killed over and over: nothing is missing, the order is kept", async () => {
  await inTemp(async (dir) => {
    const count = 3000 * SCALE;
    await fill(dir, count, `${2 * SCALE}M`);
    const found: number[] = [];
    let kills = 0;
    let repeated = 0;
    while ((found.at(-1) ?? 0) < count) {
      const child = spawn(dir, "follow", "p", "--cursor", "c", "--jsonl", "--no-follow");
      // By what it has printed, not by time: a quick machine would finish first. A pipe does not hold
      // all that is left in the first lives, so it is still writing then.
      let killAfter = kills < 10 * SCALE ? 1 + Math.floor(Math.random() * 3) : Infinity;
      const reader = child.stdout.getReader();
      let text = "";
      const decoder = new TextDecoder();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        text += decoder.decode(value, { stream: true });
        await new Promise((resolve) => setTimeout(resolve, 3)); // A reader that takes its time.
        if (--killAfter !== 0) continue;
        try {
          child.kill("SIGKILL");
        } catch {
          // It has ended already.
        }
      }
      await child.stdin.close().catch(() => {});
      if ((await child.status).signal === "SIGKILL") kills++;
      const numbers = seqs(text.slice(0, text.lastIndexOf("\n") + 1));
      if (numbers.length === 0) continue;
      const [first = 0] = numbers;
      const last = found.at(-1) ?? 0;
      assert.ok(first <= last + 1, `${first} after ${last}: messages are missing`);
      assert.deepEqual(numbers, numbers.map((_, i) => first + i));
      repeated += Math.max(0, last + 1 - first);
      found.push(...numbers.filter((seq) => seq > last));
    }
    assert.deepEqual(found, Array.from({ length: count }, (_, i) => i + 1));
    assert.ok(kills > 0 && repeated <= kills * 2000, `${repeated} repeated by ${kills} kills`);
  });
});

// ---- by hand, and by command ----------------------------------------------------------------------

Deno.test("--ack manual: the window holds delivery back, lines acknowledge, the end of stdin ends", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 10);
    await using child = spawn(
      dir,
      ...["follow", "p", "--cursor", "c", "--ack", "manual", "--window", "3", "--jsonl"],
    );
    const input = child.stdin.getWriter();
    const say = (text: string) => input.write(new TextEncoder().encode(text));
    const reader = child.stdout.getReader();
    const lines = (count: number) => (text: string) => text.split("\n").length > count;
    let text = await readUntil(reader, lines(3));
    assert.deepEqual(seqs(text), [1, 2, 3]);
    await say("2\n");
    text = await readUntil(reader, lines(2));
    assert.deepEqual(seqs(text), [4, 5]);
    await say("ack 99\nnonsense\nack 5\n");
    text = await readUntil(reader, lines(3));
    assert.deepEqual(seqs(text), [6, 7, 8]);
    await say("7");
    await input.close();
    await readUntil(reader, () => false);
    assert.equal((await child.status).code, 0);
    assert.equal((await row(dir, "c")).seq, 7);
    const ignored = await cli(
      ["--dir", dir, "follow", "p", "--cursor", "c", "--ack", "manual", "--jsonl"],
      { stdin: "ack 99\nnonsense\n" },
    );
    assert.deepEqual(notices(ignored).map(({ kind, details }) => [kind, details["seq"]]), [
      ["ack_ignored", 99],
      ["ack_ignored", null],
    ]);
  });
});

// Lost: everything after the window, when a quick reader answered before the write had returned.
Deno.test("--ack manual: an acknowledgement that comes while the message is written is not missed", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 3);
    const pool = new LocalBackend(dir).openNow("p");
    const cursor = await (await pool.coordinate()).cursor("c");
    let isFull = false;
    const delivery: Delivery = {
      isHolding: false,
      get isFull() {
        return isFull;
      },
      take: ({ frame }) => {
        cursor.deliver(frame.seq, frame.timestampNs);
        isFull = true;
      },
      flush: async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        await cursor.ack(3n) || await cursor.ack(cursor.seq + 1n);
        isFull = false;
      },
      acknowledged: () => Promise.reject(new Error("it waits for what has come already")),
    };
    const plan = {
      ...{ name: "c", from: undefined, tail: undefined, since: undefined, dir: undefined },
      ...{ flush: false, errorOnGap: false, tags: [], where: [] },
    };
    const drops = { lost: () => {}, due: () => {} } as unknown as DropNotices;
    const session = new CursorSession(cursor, delivery, drops, {
      plan,
      follow: false,
      limit: Infinity,
      timeoutMs: Infinity,
      notify: false,
      onTrouble: () => {},
      halt: new AbortController().signal,
    });
    assert.equal(await session.run(), "complete");
    assert.equal(session.count, 3);
    await cursor.close();
    pool.close();
  });
});

Deno.test("--exec: exit 0 acknowledges, a failure is tried again, in order", async () => {
  await inTemp(async (dir) => {
    await run(dir, "feed", "p", "--create", '{"n":1}');
    await run(dir, "feed", "p", "--tag", "a b", "--tag", "c", '{"n":2}');
    await run(dir, "feed", "p", '{"n":3}');
    const script = `cat >> '${dir}/log'; echo "$PLASMITE_SEQ $PLASMITE_TAGS"
      if [ $PLASMITE_SEQ = 2 ] && ! [ -e '${dir}/twice' ]; then
        [ -e '${dir}/once' ] && touch '${dir}/twice'; touch '${dir}/once'; exit 1
      fi`;
    const done = await run(dir, ...[
      "follow",
      "p",
      "--cursor",
      "c",
      "--no-follow",
      "--exec",
      script,
    ]);
    assert.equal(done.code, 0, done.stderr);
    assert.deepEqual(done.stdout.trim().split("\n"), [
      "1 []",
      '2 ["a b","c"]',
      '2 ["a b","c"]',
      '2 ["a b","c"]',
      "3 []",
    ]);
    assert.deepEqual(seqs(Deno.readTextFileSync(`${dir}/log`)), [1, 2, 2, 2, 3]);
    assert.deepEqual(notices(done).map(({ kind }) => kind), ["task_failed", "task_failed"]);
    assert.equal((await row(dir, "c")).seq, 3);
  });
});

Deno.test("--exec: what fails too often goes to the dead pool, once, and the rest goes on", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 3, "256K", "t");
    const follow = ["follow", "p", "--cursor", "c", "--no-follow", "--max-tries", "1"];
    const script = "[ $PLASMITE_SEQ != 2 ]";
    for (let i = 0; i < 2; i++) {
      const done = await run(dir, ...follow, "--exec", script);
      assert.equal(done.code, 0);
      assert.deepEqual(notices(done).map(({ kind }) => kind), ["task_failed", "dead_letter"]);
      // As if it had been killed before the acknowledgement.
      await run(dir, "cursor", "set", "p", "c", "1");
    }
    const { stdout } = await run(dir, "follow", "p.dead", "--no-follow", "--jsonl");
    assert.equal(seqs(stdout).length, 1);
    const { data, meta } = JSON.parse(stdout);
    assert.deepEqual(data, { n: 2 });
    assert.deepEqual(meta.tags.slice(0, 2), ["t", "dead:2"]);
    assert.match(meta.tags[2], /^id:dead:c:\d+:2$/);
    const named = await run(dir, ...follow, "--exec", "exit 3", "--dead", "grave");
    assert.equal(named.code, 0);
    const grave = await run(dir, "follow", "grave", "--no-follow", "--jsonl");
    assert.equal(seqs(grave.stdout).length, 2);
  });
});

Deno.test("--exec: a signal is the command's first; what it finished is acknowledged", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 3);
    const script = `trap 'exit 0' TERM; echo up; sleep 60 > /dev/null & wait`;
    await using child = spawn(dir, "follow", "p", "--cursor", "c", "--exec", script);
    const reader = child.stdout.getReader();
    await readUntil(reader, (text) => text.includes("up"));
    child.kill("SIGTERM");
    await readUntil(reader, () => false);
    assert.equal((await child.status).signal, "SIGTERM");
    await child.stdin.close().catch(() => {});
    assert.equal((await row(dir, "c")).seq, 1);
  });
});

// A forgotten permission declared the whole backlog dead.
Deno.test("without permission to run commands no message is given up, neither by --exec nor by work", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 3);
    for (
      const args of [
        ["follow", "p", "--cursor", "c", "--no-follow", "--max-tries", "1", "--exec", "true"],
        ["work", "p", "--group", "g", "--drain", "--max-tries", "1", "--", "/bin/sh", "-c", "true"],
      ]
    ) {
      const permissions = ["--no-prompt", "--allow-read", "--allow-write", "--allow-env"];
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", ...permissions, CLI, "--dir", dir, ...args],
        stdin: "null",
      }).output();
      assert.equal(code, 6, args.join(" "));
      assert.match(new TextDecoder().decode(stderr), /--allow-run/);
    }
    assert.equal((await row(dir, "c")).seq, 0);
    assert.throws(() => Deno.statSync(`${dir}/p.dead.plasmite`), Deno.errors.NotFound);
  });
});

Deno.test("tags that are too long for an environment are left out, and that is told", async () => {
  await inTemp(async (dir) => {
    await run(dir, "feed", "p", "--create", '{"n":1}', "--tag", "x".repeat(70_000));
    const script = 'echo "${PLASMITE_TAGS-unset} $PLASMITE_TAGS_OMITTED"; cat | wc -c';
    const { stdout } = await cli(
      ["--dir", dir, ...["follow", "p", "--cursor", "c", "--no-follow", "--exec", script]],
      { env: { PLASMITE_TAGS: "another's" } },
    );
    const [first, bytes] = stdout.split("\n");
    assert.equal(first, "unset 1");
    assert.ok(Number(bytes) > 70_000);
  });
});

// ---- fetch, and what cannot be --------------------------------------------------------------------

Deno.test("fetch --cursor: the next messages; none is exit 3 without output", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 4);
    const fetch = (...more: string[]) => run(dir, "fetch", "p", "--cursor", "c", ...more);
    assert.deepEqual(seqs((await fetch()).stdout), [1]);
    assert.deepEqual(seqs((await fetch("-n", "2")).stdout), [2, 3]);
    assert.deepEqual(seqs((await fetch("-n", "9")).stdout), [4]);
    assert.deepEqual(await fetch(), { code: 3, stdout: "", stderr: "" });
    const filtered = await run(dir, "fetch", "p", "--cursor", "d", "--where", ".data.n > 2");
    assert.deepEqual(seqs(filtered.stdout), [3]);
  });
});

Deno.test("--cursor-dir: for readers that may not write next to the pool", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 2);
    const place = ["--cursor-dir", `${dir}/mine`];
    assert.deepEqual(seqs((await next(dir, "c", ...place)).stdout), [1, 2]);
    assert.ok(Deno.statSync(`${dir}/mine/p.cursors/c`).size > 0);
    assert.deepEqual((await next(dir, "c", ...place)).stdout, "");
    assert.deepEqual(seqs((await next(dir, "c")).stdout), [1, 2]);
    const { stdout } = await run(dir, "cursor", "list", "p", "--json", ...place);
    assert.equal(JSON.parse(stdout).cursors.length, 1);
  });
});

Deno.test("what cannot be meant is told before anything is made", async () => {
  await inTemp(async (dir) => {
    const cases = [
      ["follow", "p", "--from", "end"],
      ["follow", "p", "--ack", "manual"],
      ["follow", "p", "--exec", "true"],
      ["follow", "p", "--cursor", "Upper"],
      ["follow", "p", "--cursor", "x.tmp"],
      ["follow", "p", "--cursor", "c", "--from", "start"],
      ["follow", "p", "--cursor", "c", "--from", "end", "--tail", "1"],
      ["follow", "p", "--cursor", "c", "--replay", "1", "--tail", "1"],
      ["follow", "p", "--cursor", "c", "--exec", "true", "--ack", "manual"],
      ["follow", "p", "--cursor", "c", "--window", "3"],
      ["follow", "p", "--cursor", "c", "--ack", "manual", "--window", "0"],
      ["follow", "p", "--cursor", "c", "--ack", "manual", "--window", "65537"],
      ["follow", "p", "--cursor", "c", "--max-tries", "3"],
      ["follow", "p", "--cursor", "c", "--exec", "true", "--max-tries", "0"],
      ["fetch", "p"],
      ["fetch", "p", "1", "--cursor", "c"],
      ["fetch", "p", "1", "-n", "2"],
      ["cursor", "set", "p", "c"],
      ["cursor", "set", "p", "c", "1", "--from", "end"],
    ];
    for (const args of cases) {
      const create = args[0] === "follow" ? ["--create"] : [];
      const outcome = await run(dir, ...args, ...create);
      assert.equal(outcome.code, 2, args.join(" "));
      assert.equal([...Deno.readDirSync(dir)].length, 0, args.join(" "));
    }
    assert.equal(
      errorOf(await run(dir, "fetch", "p"))["message"],
      "the following required arguments were not provided: <SEQ>",
    );
  });
});

Deno.test("follow --cursor knows every option of follow, or refuses it", () => {
  const flags = nodes().find(({ path }) => path === "follow")?.spec.flags ?? [];
  const cursor = flags.find(({ name }) => name === "cursor");
  const known = new Set([
    ...["create", "tail", "one", "no-follow", "jsonl", "timeout", "data-only", "since", "where"],
    ...["tag", "quiet-drops", "no-notify"],
  ]);
  const others = flags.filter(({ name, group }) =>
    group !== "Cursor" && group !== SERVER_ACCESS && !known.has(name)
  );
  assert.ok(others.length > 0);
  for (const { name } of others) assert.ok(cursor?.conflicts?.includes(name), `--${name}`);
});

Deno.test("on a terminal: a table of cursors, and words when there is nothing", {
  ignore: !hasScript,
}, async () => {
  await inTemp(async (dir) => {
    await fill(dir, 2);
    const P = `$P --dir '${dir}'`;
    const { screen } = await onTerminal(
      `${P} follow p --cursor c --no-follow --jsonl; ${P} cursor list p; ${P} fetch p --cursor c`,
    );
    const lines = screen.trimEnd().split("\n");
    assert.match(lines[2] ?? "", /^NAME +KIND +SEQ +LAG +LOST/);
    assert.match(lines[3] ?? "", /^c +cursor +2 +0 +0/);
    assert.equal(lines[4], "No new messages.");
  });
});

Deno.test("follow --cursor waits for what comes, and --timeout ends it with the cursor in place", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 1);
    await using child = spawn(dir, "follow", "p", "--cursor", "c", "--jsonl", "--timeout", "2s");
    const reader = child.stdout.getReader();
    await readUntil(reader, (text) => text.includes("\n"));
    await fill(dir, 1);
    const text = await readUntil(reader, () => false);
    assert.deepEqual(seqs(text), [2]);
    assert.equal((await child.status).code, 124);
    await child.stdin.close().catch(() => {});
    assert.equal((await row(dir, "c")).seq, 2);
  });
});

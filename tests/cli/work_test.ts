/**
 * `work`: several workers on one queue, in real processes. A task must not be lost with its worker,
 * nor be done by two at once (docs/spec/coordination.md 8.1).
 *
 * @module
 */

import assert from "node:assert/strict";
import { until, untilFile, withTime } from "../support/patience.ts";
import { SCALE } from "../support/rings.ts";
import { cli, errorOf, inTemp, type Outcome, spawnCli } from "./cli_util.ts";

const run = (dir: string, ...args: string[]): Promise<Outcome> => cli(["--dir", dir, ...args]);

async function fill(dir: string, count: number, ...more: string[]): Promise<void> {
  const stdin = Array.from({ length: count }, (_, i) => `{"n":${i + 1}}\n`).join("");
  await cli(["--dir", dir, "feed", "p", "--create", ...more], { stdin });
}

/** Runs a worker until everything is done. */
const drain = (dir: string, script: string, ...more: string[]): Promise<Outcome> =>
  run(dir, "work", "p", "--group", "g", "--drain", ...more, "--", "sh", "-c", script);

function spawn(dir: string, script: string, ...more: string[]): Deno.ChildProcess {
  const args = ["--dir", dir, "work", "p", "--group", "g", ...more, "--", "sh", "-c", script];
  return spawnCli(args, {
    stderr: "piped",
  });
}

const lines = (path: string): string[] => {
  try {
    return Deno.readTextFileSync(path).split("\n").filter((line) => line !== "");
  } catch {
    return [];
  }
};

Deno.test("each message goes to the command's stdin once, with its facts in the environment", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 3, "--tag", "t");
    const done = await drain(dir, 'echo "$PLASMITE_SEQ $PLASMITE_TRIES $PLASMITE_TAGS $(cat)"');
    assert.equal(done.code, 0, done.stderr);
    const told = done.stdout.trim().split("\n");
    assert.equal(told.length, 3);
    assert.match(
      told[1] ?? "",
      /^2 1 \["t"\] \{"data":\{"n":2\},"meta":\{"tags":\["t"\]\},"seq":2,/,
    );
    assert.equal((await drain(dir, "echo again")).stdout, "");
    const { stdout } = await run(dir, "cursor", "list", "p", "--json");
    const [{ kind, seq, next, pending }] = JSON.parse(stdout).cursors;
    assert.deepEqual([kind, seq, next, pending], ["group", 3, 3, 0]);
  });
});

Deno.test("three workers share the tasks, each done by one of them", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 30);
    const script = `echo $PLASMITE_SEQ >> '${dir}/log'; sleep 0.02`;
    const all = await Promise.all([1, 2, 3].map(() => drain(dir, script, "--jobs", "2")));
    for (const { code, stderr } of all) assert.equal(code, 0, stderr);
    const done = lines(`${dir}/log`).map(Number).sort((a, b) => a - b);
    assert.deepEqual(done, Array.from({ length: 30 }, (_, i) => i + 1));
  });
});

Deno.test("a failed task is tried again; one that fails too often goes to the dead pool, once", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 3);
    const script = `echo "$PLASMITE_SEQ $PLASMITE_TRIES" >> '${dir}/log'; [ $PLASMITE_SEQ != 2 ]`;
    const done = await drain(dir, script, "--max-tries", "2");
    assert.equal(done.code, 0);
    const tries = lines(`${dir}/log`);
    assert.deepEqual(tries.toSorted(), ["1 1", "2 1", "2 2", "3 1"]);
    assert.ok(tries.indexOf("2 1") < tries.indexOf("2 2"));
    const { stdout } = await run(dir, "follow", "p.dead", "--no-follow", "--jsonl");
    const { data, meta } = JSON.parse(stdout);
    assert.deepEqual(data, { n: 2 });
    assert.equal(meta.tags[0], "dead:2");
    const { stdout: listed } = await run(dir, "cursor", "list", "p", "--json");
    assert.equal(JSON.parse(listed).cursors[0].lag, 0);
  });
});

Deno.test("a command may take longer than --ack-wait: it is extended while it runs", () =>
  withTime((ms) =>
    inTemp(async (dir) => {
      await fill(dir, 1);
      const script = `echo run >> '${dir}/log'; sleep ${ms * 3 / 1000}`;
      const workers = [1, 2].map(() => drain(dir, script, "--ack-wait", `${ms}ms`));
      for (const { code } of await Promise.all(workers)) assert.equal(code, 0);
      assert.deepEqual(lines(`${dir}/log`), ["run"]);
    })
  ));

Deno.test("a worker that slept past its time: another has the task, its own command is ended", () =>
  withTime((ms) =>
    inTemp(async (dir) => {
      await fill(dir, 1);
      const script = `echo "$PLASMITE_TRIES" >> '${dir}/log'
        [ $PLASMITE_TRIES = 2 ] && exit 0
        trap 'echo ended >> "${dir}/log"; exit 0' TERM; sleep 600 > /dev/null 2>&1 & wait`;
      const first = spawn(dir, script, "--ack-wait", `${ms}ms`, "--timeout", `${2 * ms}ms`);
      const errors = new Response(first.stderr).text();
      await until(() => lines(`${dir}/log`).length > 0);
      first.kill("SIGSTOP");
      const second = await drain(dir, script, "--ack-wait", `${ms}ms`);
      first.kill("SIGCONT");
      assert.equal(second.code, 0);
      assert.equal((await first.status).code, 124);
      assert.deepEqual(lines(`${dir}/log`), ["1", "2", "ended"]);
      assert.match(await errors, /"kind":"task_lost"/);
    })
  ));

Deno.test("SIGTERM: running commands end and are acknowledged, nothing more is taken, exit 0", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 5);
    const script =
      `echo $PLASMITE_SEQ >> '${dir}/begun'; sleep 0.5; echo $PLASMITE_SEQ >> '${dir}/log'`;
    const worker = spawn(dir, script, "--jobs", "2");
    await until(() => lines(`${dir}/begun`).length === 2);
    worker.kill("SIGTERM");
    await worker.stderr.cancel();
    assert.equal((await worker.status).code, 0);
    assert.deepEqual(lines(`${dir}/log`).sort(), ["1", "2"]);
    assert.equal((await drain(dir, `echo $PLASMITE_SEQ >> '${dir}/log'`)).code, 0);
    assert.deepEqual(lines(`${dir}/log`).sort(), ["1", "2", "3", "4", "5"]);
  });
});

Deno.test("--ordered-by-key: messages of one key one after the other, other keys meanwhile", async () => {
  await inTemp(async (dir) => {
    for (const [key, n] of [["a", 1], ["a", 2], ["b", 3], ["a", 4], ["b", 5]] as const) {
      await run(dir, "feed", "p", "--create", "--key", key, `{"n":${n}}`);
    }
    const script = `k=$(echo "$PLASMITE_TAGS" | tr -dc ab)
      mkdir '${dir}/lock-'$k || echo overlap >> '${dir}/overlap'
      sleep 0.1; rmdir '${dir}/lock-'$k; echo "$k $PLASMITE_SEQ" >> '${dir}/log'`;
    const done = await drain(dir, script, "--jobs", "4", "--ordered-by-key");
    assert.equal(done.code, 0, done.stderr);
    assert.deepEqual(lines(`${dir}/overlap`), []);
    const of = (key: string) => lines(`${dir}/log`).filter((line) => line.startsWith(key));
    assert.deepEqual(of("a"), ["a 1", "a 2", "a 4"]);
    assert.deepEqual(of("b"), ["b 3", "b 5"]);
  });
});

Deno.test("--from, --tag, --where, --timeout; another filter for the same group is refused", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 4);
    const work = (...more: string[]) =>
      run(dir, "work", "p", ...more, "--", "sh", "-c", "echo $PLASMITE_SEQ");
    const none = await work("--group", "late", "--from", "end", "--timeout", "100ms");
    assert.deepEqual([none.code, none.stdout], [124, ""]);
    const some = await work("--group", "odd", "--where", ".data.n % 2 == 1", "--drain");
    assert.equal(some.stdout, "1\n3\n");
    const other = await work("--group", "odd", "--where", ".data.n > 1", "--drain");
    assert.equal(other.code, 2);
    await fill(dir, 1);
    assert.equal((await work("--group", "late", "--drain")).stdout, "5\n");
  });
});

Deno.test("what cannot be meant is told before anything is made", async () => {
  await inTemp(async (dir) => {
    await fill(dir, 1);
    const cases = [
      ["work", "p", "--", "true"],
      ["work", "p", "--group", "g"],
      ["work", "p", "--group", "G", "--", "true"],
      ["work", "p", "--group", "g", "--jobs", "0", "--", "true"],
      ["work", "p", "--group", "g", "--jobs", "1025", "--", "true"],
      ["work", "p", "--group", "g", "--max-tries", "0", "--", "true"],
      ["work", "p", "--group", "g", "--ack-wait", "1ms", "--", "true"],
      ["work", "p", "--group", "g", "--from", "3", "--", "true"],
      ["work", "p", "--group", "g", "--", "no-such-program"],
    ];
    for (const args of cases) {
      assert.equal((await run(dir, ...args)).code, 2, args.join(" "));
      assert.throws(() => Deno.statSync(`${dir}/p.cursors`), Deno.errors.NotFound);
    }
    await run(dir, "follow", "p", "--cursor", "c", "--no-follow");
    const wrong = await run(dir, "work", "p", "--group", "c", "--drain", "--", "true");
    assert.equal(wrong.code, 2);
    assert.match(String(errorOf(wrong)["message"]), /is a cursor, not a group/);
  });
});

// What three workers that read and then append got wrong: 13 of 30 tasks were done twice.
Deno.test("workers killed at random: each task done, twice only after a kill, no hand-out twice", async () => {
  await inTemp(async (dir) => {
    const count = 60 * SCALE;
    await fill(dir, count);
    const script = `echo "$PLASMITE_SEQ $PLASMITE_TOKEN" >> '${dir}/log'; sleep 0.03`;
    let kills = 0;
    const worker = async (): Promise<void> => {
      for (;;) {
        const child = spawn(
          dir,
          script,
          "--jobs",
          "2",
          "--ack-wait",
          "1s",
          "--drain",
          "--max-tries",
          "100",
        );
        const timer = kills < 8 * SCALE
          ? setTimeout(() => {
            try {
              child.kill("SIGKILL");
              kills++;
            } catch {
              // It has ended already.
            }
          }, 80 + Math.random() * 200)
          : undefined;
        await child.stderr.cancel();
        const { code } = await child.status;
        clearTimeout(timer);
        if (code === 0) return;
      }
    };
    await Promise.all([1, 2, 3, 4].map(worker));
    const done = lines(`${dir}/log`);
    const numbers = done.map((line) => Number(line.split(" ")[0]));
    const each = Array.from({ length: count }, (_, i) => i + 1);
    assert.deepEqual([...new Set(numbers)].sort((a, b) => a - b), each);
    assert.equal(new Set(done).size, done.length, "one hand-out was worked on twice");
    assert.ok(kills > 0 && done.length - count <= 2 * kills, `${done.length} runs, ${kills} kills`);
  });
});

// Was told: that there is no such group, for a pool that was deleted under a worker.
Deno.test("a pool that is deleted while a command runs is what the worker ends with", () =>
  inTemp(async (dir) => {
    await fill(dir, 1);
    const child = spawn(dir, `touch ${dir}/begun; until [ -e ${dir}/go ]; do sleep 0.05; done`);
    await untilFile(`${dir}/begun`);
    await run(dir, "pool", "delete", "p");
    await Deno.writeTextFile(`${dir}/go`, "");
    const { code, stderr } = await child.output();
    const text = new TextDecoder().decode(stderr);
    assert.equal(code, 3, text);
    assert.match(text, /"hint":"The pool was deleted or replaced/);
  }));

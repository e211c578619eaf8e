/**
 * `follow` as scripts use it: gates, history, finite reads, replay, drops
 * (docs/spec/command-line.md 5).
 *
 * @module
 */

import assert from "node:assert/strict";
import { ErrorKind } from "../../lib/errors.ts";
import { command, errorOf, exists, inTemp, shell as sh, spawnCli } from "./cli_util.ts";

/** Ten messages: n from 1 to 10, odd ones tagged so, every third with a level. */
const TEN = `for n in 1 2 3 4 5 6 7 8 9 10; do
    t=even; [ $((n % 2)) = 1 ] && t=odd
    l=; [ $((n % 3)) = 0 ] && l=',"level":"error"'
    echo "{\\"seq\\":1,\\"time\\":\\"2026-01-01T00:00:00Z\\",\\"meta\\":{\\"tags\\":[\\"$t\\"]},\\"data\\":{\\"n\\":$n$l}}"
  done | P feed p --create > /dev/null; `;
const SHORT = "--jsonl --data-only";

interface Row {
  readonly says: string;
  readonly line: string;
  readonly code: number;
  readonly stdout?: string;
  readonly message?: string;
  readonly hint?: readonly string[];
}

const n = (...numbers: number[]): string =>
  numbers.map((i) => i % 3 === 0 ? `{"n":${i},"level":"error"}\n` : `{"n":${i}}\n`).join("");

const rows: readonly Row[] = [
  {
    says: "--tail N prints the last N that match, then waits",
    line: `${TEN}P follow p --tail 2 --tag odd --timeout 200ms ${SHORT}`,
    code: 124,
    stdout: n(7, 9),
  },
  {
    says: "--tail 1 --one prints the latest match at once",
    line: `${TEN}P follow p --tag odd --tail 1 --one ${SHORT}`,
    code: 0,
    stdout: n(9),
  },
  {
    says: "--tail N --one waits until there are N and prints the newest",
    line:
      `${TEN}(sleep 0.3; P feed p --tag odd '{"n":11}' > /dev/null) & P follow p --tag odd --tail 6 --one ${SHORT}; wait`,
    code: 0,
    stdout: '{"n":11}\n',
  },
  {
    says: "--no-follow prints what is there and ends",
    line: `${TEN}P follow p --no-follow --tag even ${SHORT}`,
    code: 0,
    stdout: n(2, 4, 6, 8, 10),
  },
  {
    says: "--no-follow --tail counts matching messages",
    line: `${TEN}P follow p --no-follow --tail 2 --tag odd ${SHORT}`,
    code: 0,
    stdout: n(7, 9),
  },
  {
    says: "--no-follow --one with --tail is the first of the selection",
    line: `${TEN}P follow p --no-follow --tail 2 --one ${SHORT}`,
    code: 0,
    stdout: n(9),
  },
  {
    says: "--no-follow on an empty pool prints nothing",
    line: "P follow p --create --no-follow; ls",
    code: 0,
    stdout: "p.plasmite\n",
  },
  {
    says: "--no-follow --timeout 0s prints nothing",
    line: `${TEN}P follow p --no-follow --timeout 0s ${SHORT}`,
    code: 124,
    stdout: "",
  },
  {
    says: "history with --timeout 0s is printed first",
    line: `${TEN}P follow p --since 1h --timeout 0s --where '.data.n > 8' ${SHORT}`,
    code: 124,
    stdout: n(9, 10),
  },
  {
    says: "--since in the future ends at once",
    line: `${TEN}P follow p --since 2999-01-01T00:00:00Z`,
    code: 0,
    stdout: "",
  },
  {
    says: "--since before 1970 is everything",
    line: `${TEN}P follow p --since 1960-01-01T00:00:00Z --no-follow --tag even ${SHORT}`,
    code: 0,
    stdout: n(2, 4, 6, 8, 10),
  },
  {
    says: "a missing key does not match, and ? yields nothing",
    line:
      `${TEN}P follow p --no-follow ${SHORT} --where '.data.level == "error"'; P follow p --no-follow ${SHORT} --where '.data.level != "error"'; P follow p --no-follow ${SHORT} --where '(.data.level? // "none") == "none" and .data.n < 3'`,
    code: 0,
    stdout: n(3, 6, 9) + n(1, 2),
  },
  {
    says: "several conditions must all hold, with tags",
    line:
      `${TEN}P follow p --no-follow ${SHORT} --tag odd --where '.data.n > 2' --where '.data.n < 8'`,
    code: 0,
    stdout: n(3, 5, 7),
  },
  {
    says: "test() as in the cookbook, and a filter that needs jq itself",
    line:
      `P feed p --create '{"MESSAGE":"kernel panic - not syncing"}' >/dev/null; P feed p '{"MESSAGE":"fine"}' >/dev/null
       P follow p --no-follow ${SHORT} --where '.data.MESSAGE | test("panic")'
       P follow p --no-follow ${SHORT} --where '[.data.MESSAGE | splits(" ")] | length > 1'`,
    code: 0,
    stdout: '{"MESSAGE":"kernel panic - not syncing"}\n{"MESSAGE":"kernel panic - not syncing"}\n',
  },
  {
    says: "a bad filter wins over a missing pool",
    line: "P follow nope --where '.data.'",
    code: ErrorKind.Usage,
    message: "invalid filter expression",
    hint: [".data."],
  },
  {
    says: "a filter that is no boolean is fatal when the first message is met",
    line: `${TEN}P follow p --no-follow --where '.data.n'`,
    code: ErrorKind.Usage,
    message: "filter expression must yield booleans",
    hint: [".data.n", "1"],
  },
  {
    says: "what matched before a filter failed is printed: a finite read",
    line:
      `P feed p --create '{"v":true} {"v":true} {"v":1}' > /dev/null; P follow p --no-follow --where .data.v ${SHORT}`,
    code: 2,
    stdout: '{"v":true}\n{"v":true}\n',
    message: "filter expression must yield booleans",
  },
  {
    says: "what matched before a filter failed is printed: history",
    line:
      `P feed p --create '{"v":true} {"v":true} {"v":1}' > /dev/null; P follow p --since 1h --where .data.v ${SHORT}`,
    code: 2,
    stdout: '{"v":true}\n{"v":true}\n',
    message: "filter expression must yield booleans",
  },
  {
    says: "what matched before a filter failed is printed: a replay",
    line:
      `P feed p --create '{"v":true} {"v":true} {"v":1}' > /dev/null; P follow p --since 1h --replay 1000 --where .data.v ${SHORT}`,
    code: 2,
    stdout: '{"v":true}\n{"v":true}\n',
    message: "filter expression must yield booleans",
  },
  {
    says: "--replay prints the selection and ends; --one the oldest of it",
    line:
      `${TEN}P follow p --tail 3 --replay 0 ${SHORT}; P follow p --since 1h --replay 0 --tag even --one ${SHORT}`,
    code: 0,
    stdout: n(8, 9, 10) + n(2),
  },
  {
    says: "--replay needs a selection",
    line: "P follow p --replay 1",
    code: ErrorKind.Usage,
    message: "--replay requires --tail or --since",
  },
  {
    says: "--replay refuses negative and infinite speeds",
    line: "P follow p --tail 1 --replay=-1 2>/dev/null; echo $?; P follow p --tail 1 --replay inf",
    code: ErrorKind.Usage,
    stdout: "2\n",
    message: "--replay speed must be a finite number",
  },
  {
    says: "--since and --tail exclude one another",
    line: "P follow p --since 5m --tail 3",
    code: ErrorKind.Usage,
    message: "the argument '--since <SINCE>' cannot be used with '--tail <TAIL>'",
  },
  {
    says: "--jsonl and --format exclude one another",
    line: "P follow p --jsonl --format pretty",
    code: ErrorKind.Usage,
    message: "conflicting output options",
    hint: ["--format jsonl", "--jsonl"],
  },
  {
    says: "a bad --since is explained",
    line: "P follow p --since 5",
    code: ErrorKind.Usage,
    message: "invalid --since value",
    hint: ["RFC 3339", "5m"],
  },
  {
    says: "a bad --timeout is explained",
    line: "P follow p --timeout 5",
    code: ErrorKind.Usage,
    message: "invalid duration",
    hint: ["ms|s|m|h"],
  },
  {
    says: "a missing pool names the exact command",
    line: "P follow nope --tag x --where '.a == 1' --one",
    code: ErrorKind.NotFound,
    message: "not found",
    hint: ["exact command", `follow nope --create --one --where ".a == 1" --tag x`],
  },
  {
    says: "options without a pool say what is missing",
    line: "P follow --tail 1",
    code: ErrorKind.Usage,
    hint: ["pool ref", "plasmite follow chat -n 1"],
  },
  {
    says: "the default is indented documents, also in a pipe",
    line: `P feed p --create '{"a":[1,{}]}' > /dev/null; P follow p --tail 1 --one --data-only`,
    code: 0,
    stdout: '{\n  "a": [\n    1,\n    {}\n  ]\n}\n',
  },
  {
    says: "head ends a finite read quietly",
    line: `${TEN}P follow p --no-follow ${SHORT} | head -1; echo \${PIPESTATUS[0]}`,
    code: 0,
    stdout: `${n(1)}0\n`,
  },
];

const jq = await exists("jq");

for (const row of rows) {
  Deno.test(
    { name: `follow: ${row.says}`, ignore: row.line.includes("| jq ") && !jq },
    () =>
      inTemp(async (dir) => {
        const outcome = await sh(dir, row.line);
        assert.equal(outcome.code, row.code, outcome.stderr);
        if (row.stdout !== undefined) assert.equal(outcome.stdout, row.stdout);
        if (row.message === undefined && row.hint === undefined) return;
        const error = errorOf(outcome);
        if (row.message !== undefined) assert.equal(error["message"], row.message);
        for (const token of row.hint ?? []) {
          assert.ok(String(error["hint"]).includes(token), `${error["hint"]} lacks ${token}`);
        }
      }),
  );
}

/** A follower that is really waiting: resolves when it has its pool open. */
function follower(dir: string, ...args: string[]): Deno.ChildProcess {
  return new Deno.Command("bash", {
    args: ["-c", `exec ${command(["--dir", dir, "follow", ...args])}`],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "" },
  }).spawn();
}

Deno.test("follow: a gate waits for its message and not for another", () =>
  inTemp(async (dir) => {
    await sh(dir, "P pool create gate > /dev/null");
    const gate = follower(
      dir,
      "gate",
      "--where",
      '.data.phase == "ready"',
      "--one",
      "--jsonl",
      "--data-only",
    );
    const done = gate.output();
    // Until the gate closes: phases that do not open it, then one that does, repeated in case the
    // gate was not open yet when the first came.
    let open = true;
    void done.then(() => open = false);
    for (let i = 0; open && i < 200; i++) {
      await sh(
        dir,
        `P feed gate '{"phase":"starting"}' '{"i":${i}}' >/dev/null 2>&1; P feed gate '{"phase":"ready"}' > /dev/null`,
      );
    }
    const { code, stdout } = await done;
    assert.equal(code, 0);
    assert.equal(new TextDecoder().decode(stdout), '{"phase":"ready"}\n');
  }));

Deno.test("follow: a deleted pool ends the follower with NotFound", () =>
  inTemp(async (dir) => {
    await sh(dir, `P feed gone --create '{"x":1}' > /dev/null`);
    const child = follower(dir, "gone", "--tail", "1", "--jsonl");
    const reader = child.stdout.getReader();
    await reader.read(); // It is following now.
    await sh(dir, "P pool delete gone > /dev/null");
    const { code } = await child.status;
    assert.equal(code, ErrorKind.NotFound);
    let text = "";
    for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) text += chunk;
    assert.equal(JSON.parse(text).error.kind, "NotFound");
    await reader.cancel();
  }));

Deno.test("follow: a replaced pool ends the follower with an explanation", () =>
  inTemp(async (dir) => {
    await sh(dir, `P feed one --create '{"x":1}' > /dev/null; P pool create two > /dev/null`);
    const child = follower(dir, "one", "--tail", "1", "--jsonl");
    const reader = child.stdout.getReader();
    await reader.read();
    await Deno.rename(`${dir}/two.plasmite`, `${dir}/one.plasmite`);
    const { code } = await child.status;
    assert.equal(code, ErrorKind.NotFound);
    let text = "";
    for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) text += chunk;
    assert.equal(JSON.parse(text).error.message, "pool path now refers to a different file");
    await reader.cancel();
  }));

Deno.test("follow: an overtaken reader reports how many it lost and continues at the oldest", () =>
  inTemp(async (dir) => {
    await sh(dir, `P feed p --create-size 12000 '{"i":0}' > /dev/null`);
    const child = follower(dir, "p", "--tail", "1", "--jsonl");
    const reader = child.stdout.getReader();
    await reader.read();
    // Stopped while the ring goes round many times: what it missed is really gone.
    Deno.kill(child.pid, "SIGSTOP");
    await sh(dir, `for i in $(seq 200); do echo "{\\"i\\":$i}"; done | P feed p > /dev/null`);
    Deno.kill(child.pid, "SIGCONT");
    let out = "";
    const decoder = new TextDecoder();
    while (!/"seq":201\b.*\n/.test(out)) {
      const { value, done } = await reader.read();
      if (done) break;
      out += decoder.decode(value, { stream: true });
    }
    child.kill("SIGTERM");
    await child.status;
    await reader.cancel();
    const seqs = out.trim().split("\n").map((line) => JSON.parse(line).seq);
    assert.equal(seqs.at(-1), 201);
    assert.deepEqual(
      seqs,
      seqs.map((_, i) => seqs[0] + i),
      "what is still there is printed in order",
    );
    let text = "";
    for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) text += chunk;
    const { notice } = JSON.parse(text);
    assert.equal(notice.kind, "drop");
    assert.deepEqual(notice.details, {
      dropped_count: seqs[0] - 2,
      last_seen_seq: 1,
      next_seen_seq: seqs[0],
      pool_path: `${dir}/p.plasmite`,
    });
    assert.equal(notice.message, `dropped ${seqs[0] - 2} messages`);
  }));

Deno.test("follow: a steady stream of messages that do not match cannot put off the timeout", () =>
  inTemp(async (dir) => {
    await sh(dir, "P pool create p > /dev/null");
    const noise = spawnCli(["--dir", dir, "feed", "p"], {
      stdin: "piped",
      stderr: "inherit",
    });
    const writer = noise.stdin.getWriter();
    const line = new TextEncoder().encode('{"x":1}\n');
    let writing = Promise.resolve();
    const steady = setInterval(() => writing = writing.then(() => writer.write(line)), 10);
    try {
      const { code, stdout } = await sh(dir, "P follow p --tag none --timeout 300ms");
      assert.equal(code, 124);
      assert.equal(stdout, "");
    } finally {
      clearInterval(steady);
      await writing;
      await writer.close();
      assert.equal((await noise.status).code, 0);
    }
  }));

Deno.test("follow: --no-notify and notices give the same messages", () =>
  inTemp(async (dir) => {
    await sh(dir, `P feed p --create '{"first":true}' > /dev/null`);
    const children = [["--no-notify"], []].map((extra) =>
      follower(dir, "p", "--tail", "1", "--jsonl", "--data-only", "--timeout", "2s", ...extra)
    );
    const readers = children.map((child) =>
      child.stdout.pipeThrough(new TextDecoderStream()).getReader()
    );
    const first = await Promise.all(readers.map((reader) => reader.read()));
    await sh(dir, `for i in 1 2 3 4 5; do P feed p "{\\"i\\":$i}" > /dev/null; done`);
    const rest = await Promise.all(readers.map(async (reader, i) => {
      let text = first[i]?.value ?? "";
      for (let r = await reader.read(); !r.done; r = await reader.read()) text += r.value;
      return text;
    }));
    const expected = '{"first":true}\n{"i":1}\n{"i":2}\n{"i":3}\n{"i":4}\n{"i":5}\n';
    assert.deepEqual(rest, [expected, expected]);
    for (const child of children) {
      assert.equal((await child.status).code, 124);
      await child.stderr.cancel();
    }
  }));

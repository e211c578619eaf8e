/**
 * `tap`: the lines that are captured, as a unit and from real commands; exit codes, signals and
 * children that must not stay behind.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { ErrorKind } from "../../lib/errors.ts";
import { LineCapture } from "../../lib/cli/tap_lines.ts";
import { LocalBackend } from "../../lib/backend/local.ts";
import { MessageView } from "../../lib/lite3/message.ts";
import { toValue } from "../../lib/lite3/value.ts";
import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { CLI, cli, command, errorOf, exists, inTemp } from "./cli_util.ts";
import { start } from "../support/processes.ts";
import { hasTerminals, screen, terminal } from "../support/terminal.ts";

const unix = Deno.build.os !== "windows";

/** All messages of a pool. */
async function messages(
  path: string,
): Promise<{ tags: string[]; data: Record<string, unknown> }[]> {
  const pool = new LocalBackend("").openNow(path);
  const found = [];
  try {
    const walk = await pool.select({});
    while (walk.next()) {
      const { message } = walk;
      const data = toValue(message.doc, message.dataAt, "number") as Record<string, unknown>;
      found.push({ tags: message.tags(), data });
    }
    walk.close();
  } finally {
    pool.close();
  }
  return found;
}

/** The captured lines of one stream. */
async function lines(path: string, stream = "stdout"): Promise<unknown[]> {
  return (await messages(path)).filter(({ data }) => data["stream"] === stream)
    .map(({ data }) => data["line"]);
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Every payload that capturing `chunks` gives. */
function capture(
  chunks: readonly Uint8Array[],
  maxPayload: number,
  batchBytes = 2000,
  lastPiece = false,
): Uint8Array[] {
  const tags = ["a", "b"];
  const capture = new LineCapture({ stream: "stderr", tags, maxPayload, batchBytes, lastPiece });
  const { batch } = capture;
  const payloads: Uint8Array[] = [];
  const drain = (): void => {
    for (let i = 0; i < batch.count; i++) payloads.push(batch.payload(i).slice());
    batch.clear();
  };
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      at = capture.push(chunk, at);
      drain();
    }
  }
  capture.end();
  drain();
  assert.equal(capture.lines, payloads.length);
  return payloads;
}

function encode(data: Record<string, unknown>): Uint8Array {
  const batch = new FrameBatch();
  messageFromValue(batch.encoder, data, ["a", "b"]);
  return batch.out.bytes().slice();
}

function textOf(payload: Uint8Array): { line: string; truncated: boolean } {
  const view = new MessageView();
  view.open(payload, new DataView(payload.buffer), 0, payload.length);
  const data = toValue(view.doc, view.dataAt, "number") as Record<string, unknown>;
  return { line: String(data["line"]), truncated: data["truncated"] === true };
}

const pieces = fc.oneof(
  fc.constantFrom("\n", "\r\n", "\r", "", "é", "日本語", "\u{1f600}", "\u0000", "\ufeff", "a line"),
  fc.constantFrom(88, 89, 90, 91, 92).map((n) => "x".repeat(n) + "\n"),
  fc.string({ unit: "binary", maxLength: 30 }),
).map(bytes);
const binary = fc.oneof(pieces, fc.uint8Array({ maxLength: 20 }));

Deno.test("captured lines are the messages that an encoder makes, however the output is cut", () => {
  fc.assert(fc.property(
    fc.array(binary, { maxLength: 40 }),
    fc.array(fc.nat(200), { maxLength: 20 }),
    fc.boolean(),
    (parts, cuts, lastPiece) => {
      const all = new Uint8Array(parts.flatMap((part) => [...part]));
      const chunks: Uint8Array[] = [];
      let from = 0;
      for (const cut of cuts) {
        chunks.push(all.slice(from, from + cut));
        from = Math.min(all.length, from + cut);
      }
      chunks.push(all.slice(from));

      const expected: Uint8Array[] = [];
      const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
      let begin = 0;
      while (begin < all.length) {
        const newline = all.indexOf(10, begin);
        let end = newline < 0 ? all.length : newline;
        const next = newline < 0 ? all.length : newline + 1;
        while (end > begin && all[end - 1] === 13) end--;
        if (lastPiece) begin = Math.max(begin, all.subarray(0, end).lastIndexOf(13) + 1);
        const line = decoder.decode(all.subarray(begin, end));
        expected.push(encode({ kind: "line", stream: "stderr", line }));
        begin = next;
      }
      assert.deepEqual(capture(chunks, 1 << 20, 2000, lastPiece), expected);
    },
  ));
});

Deno.test("tap --cr last: of a progress bar what was shown last is kept, whole", async () => {
  const bar = Array.from({ length: 5000 }, (_, i) => `${i} of 5000`).join("\r");
  const [line = new Uint8Array()] = capture([bytes(`${bar}\r\n`)], 1000, 2000, true);
  assert.deepEqual(textOf(line), { line: "4999 of 5000", truncated: false });
  await inTemp(async (dir) => {
    const script = `printf '10%%\\r50%%\\rdone\\r\\nnext\\rlast'`;
    for (
      const [cr, expected] of [["last", ["done", "last"]], ["keep", [
        "10%\r50%\rdone",
        "next\rlast",
      ]]]
    ) {
      const pool = `${dir}/${cr}.plasmite`;
      const args = ["tap", pool, "--create", "-q", ...(cr === "keep" ? [] : ["--cr", String(cr)])];
      assert.equal((await cli([...args, "--", "sh", "-c", script])).code, 0);
      assert.deepEqual(await lines(pool), expected);
    }
  });
});

Deno.test("a line that does not fit is cut between two characters and marked", () => {
  const empty = encode({ kind: "line", stream: "stderr", truncated: true, line: "" }).length;
  const room = 10;
  const whole = empty + room - encode({ kind: "line", stream: "stderr", line: "" }).length;
  const one = (text: string | Uint8Array, step = 3): { line: string; truncated: boolean } => {
    const all = typeof text === "string" ? bytes(text) : text;
    const chunks = [];
    for (let i = 0; i < all.length; i += step) chunks.push(all.slice(i, i + step));
    const [payload, ...more] = capture(chunks, empty + room);
    assert(payload !== undefined && more.length === 0);
    assert(payload.length <= empty + room);
    return textOf(payload);
  };
  assert.deepEqual(one("a".repeat(whole)), { line: "a".repeat(whole), truncated: false });
  assert.deepEqual(one("a".repeat(whole) + "\r\r\r\r\n", 100), {
    line: "a".repeat(whole),
    truncated: false,
  });
  assert.deepEqual(one("a".repeat(whole + 1)), { line: "a".repeat(10), truncated: true });
  assert.deepEqual(one("é".repeat(50)), { line: "é".repeat(5), truncated: true });
  assert.deepEqual(one("日".repeat(50), 7), { line: "日日日", truncated: true });
  // What is not UTF-8 grows, and is cut too.
  assert.deepEqual(one(new Uint8Array(whole).fill(0xff)), {
    line: "\ufffd".repeat(3),
    truncated: true,
  });
});

Deno.test("tap records start, lines and exit, and passes every byte through", {
  ignore: !unix,
}, async () => {
  await inTemp(async (dir) => {
    const script = `printf 'one\\n\\ntwo\\r\\nb\\377d\\n\\000'; printf 'err\\n' >&2; exit 7`;
    const child = new Deno.Command("sh", {
      args: [
        "-c",
        `${
          command([
            "--dir",
            dir,
            "tap",
            "t",
            "--create-size",
            "64K",
            "--tag",
            "x",
            "--tag",
            "y",
            "--",
            "sh",
            "-c",
            script,
          ])
        }`,
      ],
    });
    const { code, stdout, stderr } = await child.output();
    assert.equal(code, 7);
    assert.deepEqual([...stdout], [...bytes("one\n\ntwo\r\nb"), 0xff, ...bytes("d\n\0")]);
    assert.equal(new TextDecoder().decode(stderr), "err\n");
    const path = `${dir}/t.plasmite`;
    assert.equal(Deno.statSync(path).size, 65536);
    const all = await messages(path);
    assert.deepEqual(all[0], {
      tags: ["lifecycle"],
      data: { kind: "start", cmd: ["sh", "-c", script] },
    });
    const last = all.at(-1);
    assert.deepEqual(last?.tags, ["lifecycle"]);
    assert.deepEqual({ ...last?.data, elapsed_ms: 0 }, { kind: "exit", code: 7, elapsed_ms: 0 });
    assert(Number.isInteger(last?.data["elapsed_ms"]));
    for (const { tags } of all.slice(1, -1)) assert.deepEqual(tags, ["x", "y"]);
    assert.deepEqual(await lines(path), ["one", "", "two", "b\ufffdd", "\0"]);
    assert.deepEqual(await lines(path, "stderr"), ["err"]);
  });
});

Deno.test("tap says what is wrong with its command line", { ignore: !unix }, async () => {
  await inTemp(async (dir) => {
    const cases: [string[], number, string, string][] = [
      [
        ["t", "--create"],
        2,
        "tap requires a wrapped command after `--`",
        "plasmite tap <pool> -- <command...>",
      ],
      [
        ["http://h/p", "--", "true"],
        2,
        "tap accepts local pool refs only",
        "Use a local pool name/path",
      ],
      [["t", "--", "true"], 3, "not found", "--create"],
      [["t", "--create", "echo"], 2, "unexpected argument 'echo' found", "--help"],
      [["t", "--create", "--durability", "slow", "--", "true"], 2, "invalid durability", "flush"],
      [
        ["t", "--create", "--", "no-such-program"],
        2,
        "wrapped command not found: no-such-program",
        "Check PATH or use an absolute executable path",
      ],
      [["t", "--create", "--", "/dev/null"], 8, "failed to spawn wrapped command", "executable"],
    ];
    for (const [args, code, message, hint] of cases) {
      const outcome = await cli(["--dir", dir, "tap", ...args]);
      assert.equal(outcome.code, code, args.join(" "));
      const error = errorOf(outcome);
      assert.equal(error["message"], message);
      assert(String(error["hint"]).includes(hint), String(error["hint"]));
    }
    // Too small a pool is told before anything runs.
    const small = await cli([
      "--dir",
      dir,
      "tap",
      "s",
      "--create-size",
      "4200",
      "--",
      "touch",
      `${dir}/ran`,
    ]);
    assert.equal(small.code, ErrorKind.Usage);
    assert(String(errorOf(small)["hint"]).includes("--create-size"));
    // Whatever was wrong, neither the command ran nor was a pool made for it.
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  });
});

Deno.test("tap exits as its child does, by code or by signal", { ignore: !unix }, async () => {
  await inTemp(async (dir) => {
    const tap = ["--dir", dir, "tap", "t", "--create", "-q", "--"];
    const cases: [string, number, Record<string, unknown>][] = [
      ["exit 0", 0, { code: 0 }],
      ["exit 255", 255, { code: 255 }],
      ["kill -TERM $$", 143, { signal: "SIGTERM" }],
      ["kill -KILL $$", 137, { signal: "SIGKILL" }],
      ["kill -USR1 $$", 138, { signal: "SIG10" }],
      ["kill -40 $$", 168, { signal: "SIG40" }],
    ];
    for (const [script, code, facts] of cases) {
      const outcome = await cli([...tap, "sh", "-c", `echo out; ${script}`]);
      assert.deepEqual([outcome.code, outcome.stdout, outcome.stderr], [code, "", ""], script);
      const last = (await messages(`${dir}/t.plasmite`)).at(-1);
      assert.deepEqual({ ...last?.data, elapsed_ms: 0 }, { kind: "exit", ...facts, elapsed_ms: 0 });
    }
  });
});

/** Starts `tap` and waits until its child has printed `ready`. */
async function startTap(
  dir: string,
  script: string,
): Promise<{ child: Deno.ChildProcess; pid: number; rest: Promise<string> }> {
  const child = new Deno.Command("sh", {
    args: [
      "-c",
      `exec ${
        command(["--dir", dir, "tap", "t", "--create", "--", "sh", "-c", `echo $$; ${script}`])
      }`,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("ready")) {
    const { value } = await reader.read();
    assert(value !== undefined, "tap ended early");
    text += value;
  }
  const rest = (async (): Promise<string> => {
    for (;;) {
      const { value } = await reader.read();
      if (value === undefined) return text;
      text += value;
    }
  })();
  return { child, pid: parseInt(text), rest };
}

function alive(pid: number): boolean {
  try {
    Deno.kill(pid, "SIGCONT");
    return true;
  } catch {
    return false;
  }
}

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  Deno.test(`tap forwards ${signal} and reports what the child made of it`, {
    ignore: !unix,
  }, async () => {
    await inTemp(async (dir) => {
      const name = signal.slice(3);
      const { child, rest } = await startTap(
        dir,
        `trap 'echo caught; exit 9' ${name}; echo ready; while :; do sleep 0.05; done`,
      );
      child.kill(signal);
      const { code } = await child.status;
      await child.stderr.cancel();
      assert.equal(code, 9);
      assert((await rest).endsWith("ready\ncaught\n"));
      assert.deepEqual((await lines(`${dir}/t.plasmite`)).slice(1), ["ready", "caught"]);
      const last = (await messages(`${dir}/t.plasmite`)).at(-1);
      assert.equal(last?.data["code"], 9);
    });
  });
}

Deno.test("tap that fails takes its child with it", { ignore: !unix }, async () => {
  await inTemp(async (dir) => {
    const { child, pid, rest } = await startTap(
      dir,
      `echo ready; trap '' TERM; while :; do echo more; sleep 0.05; done`,
    );
    assert(alive(pid));
    Deno.removeSync(`${dir}/t.plasmite`);
    const { code } = await child.status;
    const [stderr] = await Promise.all([new Response(child.stderr).text(), rest]);
    assert.equal(code, ErrorKind.NotFound, stderr);
    assert(!alive(pid));
  });
});

Deno.test("a line longer than the ring is passed on whole and recorded in part", {
  ignore: !unix,
}, async () => {
  await inTemp(async (dir) => {
    const script = "head -c 3000000 /dev/zero | tr '\\0' z; echo; echo after; exit 4";
    const { code, stdout } = await cli([
      "--dir",
      dir,
      "tap",
      "t",
      "--create-size",
      "128K",
      "--",
      "sh",
      "-c",
      script,
    ]);
    assert.equal(code, 4);
    assert.equal(stdout, `${"z".repeat(3_000_000)}\nafter\n`);
    const kept = await messages(`${dir}/t.plasmite`);
    // The ring now holds little besides; the newest messages are always there.
    assert.deepEqual(kept.at(-2)?.data["line"], "after");
    assert.equal(kept.at(-1)?.data["code"], 4);
    const quarter = await cli([
      "--dir",
      dir,
      "tap",
      "u",
      "--create-size",
      "128K",
      "--",
      "sh",
      "-c",
      "head -c 3000000 /dev/zero | tr '\\0' z; sleep 0.2; kill -9 $PPID",
    ]);
    assert.equal(quarter.code, 137);
    const [cut] = (await messages(`${dir}/u.plasmite`)).slice(-1);
    assert.equal(cut?.data["kind"], "start", "an unfinished line is not recorded before its end");
  });
});

Deno.test("a background process may keep the pipes, tap does not wait for it", {
  ignore: !unix,
}, async () => {
  await inTemp(async (dir) => {
    const outcome = await cli([
      "--dir",
      dir,
      "tap",
      "t",
      "--create",
      "--",
      "sh",
      "-c",
      "sleep 1000 & echo $!; printf tail; exit 5",
    ]);
    const pid = parseInt(outcome.stdout);
    try {
      assert.equal(outcome.code, 5);
      assert(alive(pid), "it is the background process's own business when it ends");
      assert.deepEqual(await lines(`${dir}/t.plasmite`), [String(pid), "tail"]);
    } finally {
      Deno.kill(pid, "SIGKILL");
    }
  });
});

Deno.test("a reader of stdout that goes away does not end the capture", {
  ignore: !unix || !await exists("bash"),
}, async () => {
  await inTemp(async (dir) => {
    const tap = command([
      "--dir",
      dir,
      "tap",
      "t",
      "--create-size",
      "8M",
      "--",
      "seq",
      "1",
      "5000",
    ]);
    const { stdout } = await new Deno.Command("bash", {
      args: ["-c", `${tap} | head -1; echo "\${PIPESTATUS[0]}"`],
    }).output();
    assert.equal(new TextDecoder().decode(stdout), "1\n0\n");
    assert.equal((await lines(`${dir}/t.plasmite`)).length, 5000);
  });
});

Deno.test("a pool that stalls holds the child back instead of filling the memory", {
  ignore: !unix || !hasTerminals,
}, async () => {
  await inTemp(async (dir) => {
    const path = `${dir}/t.plasmite`;
    await cli(["pool", "create", path, "--size", "4M"]);
    await using lock = start("hold_lock.ts", path, "exclusive", "60000");
    assert.equal(await lock.line(), "locked");
    const flood = "head -c 400000000 /dev/zero >&2 & seq 1 5000; wait";
    const measure =
      "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:], stdout=2, stderr=subprocess.DEVNULL); " +
      "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    const [program = "", ...args] = [
      Deno.execPath(),
      "run",
      "-A",
      "--quiet",
      CLI,
      "tap",
      path,
      "-q",
      "--",
      "sh",
      "-c",
      flood,
    ];
    const child = new Deno.Command("python3", {
      args: ["-c", measure, program, ...args],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    await new Promise((resolve) => setTimeout(resolve, 700));
    await lock.release();
    const { stdout } = await child.output();
    const [code, kilobytes] = new TextDecoder().decode(stdout).split(" ").map(Number);
    assert.equal(code, 0);
    assert(kilobytes !== undefined && kilobytes < 300_000, `${kilobytes} KB`);
  });
});

Deno.test("the lines of one stream keep their order", { ignore: !unix }, async () => {
  await inTemp(async (dir) => {
    const outcome = await cli([
      "--dir",
      dir,
      "tap",
      "t",
      "--create-size",
      "64M",
      "-q",
      "--",
      "sh",
      "-c",
      "seq 1 30000 & seq 1 30000 >&2; wait",
    ]);
    assert.equal(outcome.code, 0);
    const path = `${dir}/t.plasmite`;
    const expected = Array.from({ length: 30000 }, (_, i) => String(i + 1));
    assert.deepEqual(await lines(path), expected);
    assert.deepEqual(await lines(path, "stderr"), expected);
  });
});

Deno.test("on a terminal tap says what it captured", { ignore: !hasTerminals }, async () => {
  await inTemp(async (dir) => {
    const script = "echo 'a b'; exit 2";
    const session = await terminal(
      ["--dir", dir, "tap", "t", "--create", "--", "sh", "-c", script],
      [],
    );
    assert.equal(session.code, 2);
    const shown = screen(session.output).filter((line) => line !== "");
    assert.deepEqual(shown.slice(0, 2), [`tapping t <- sh -c ${JSON.stringify(script)}`, "a b"]);
    assert.match(shown[2] ?? "", /^tapped 1 line \(\d+\.\ds\) -> t exit 2$/);
    const killed = await terminal(
      ["--dir", dir, "tap", "t", "-q", "--", "sh", "-c", "kill $$"],
      [],
    );
    assert.equal(killed.code, 143);
    assert.match(killed.output, /-> t signal SIGTERM/);
  });
});

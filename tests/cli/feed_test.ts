/**
 * `feed` and `fetch` as scripts use them: the real program behind real pipes
 * (docs/spec/command-line.md 2, 3).
 *
 * @module
 */

import assert from "node:assert/strict";
import { ErrorKind } from "../../lib/errors.ts";
import { retriesTold } from "../../lib/cli/retry.ts";
import { cli, errorOf, exists, hasScript, inTemp, onTerminal, shell as sh } from "./cli_util.ts";

const TIME = /"time":"[^"]*"/g;

/** What a row expects. Times are replaced by T, the directory by DIR. */
interface Row {
  readonly says: string;
  readonly line: string;
  readonly code: number;
  readonly stdout?: string;
  readonly kind?: string;
  readonly message?: string;
  readonly hint?: readonly string[];
}

const receipt = (seq: number, tags = ""): string =>
  `{"meta":{"tags":[${tags}]},"seq":${seq},"time":"T"}\n`;
const message = (seq: number, data: string, tags = ""): string =>
  `{"data":${data},"meta":{"tags":[${tags}]},"seq":${seq},"time":"T"}\n`;
/** Everything the pool holds, one line each. */
const ALL = "P follow p --no-follow --jsonl --data-only";

const rows: readonly Row[] = [
  {
    says: "inline data is stored with its tags, and the receipt does not echo it",
    line: `P feed p --create --tag a --tag b '{"x":1}'; P fetch p 1`,
    code: 0,
    stdout: receipt(1, '"a","b"') + message(1, '{"x":1}', '"a","b"'),
  },
  {
    says: "--format json prints the message as stored, keys in the order they were typed",
    line: `P feed p --create --format json '{"z":1,"10":2,"a":{"y":[],"b":{}}}'`,
    code: 0,
    stdout: message(1, '{"z":1,"10":2,"a":{"y":[],"b":{}}}'),
  },
  {
    says: "numbers survive exactly",
    line:
      `P feed p --create '{"a":9223372036854775807,"b":-9223372036854775808,"c":1.0,"d":-0.0,"e":0.00019929099404125106,"f":5e-324,"g":1e16,"h":1e-6}' >/dev/null; ${ALL}`,
    code: 0,
    stdout:
      '{"a":9223372036854775807,"b":-9223372036854775808,"c":1.0,"d":-0.0,"e":0.00019929099404125106,"f":5e-324,"g":1e+16,"h":1e-6}\n',
  },
  {
    says: "several objects in one argument go in together or not at all",
    line:
      `P feed p --create '{"a":1} {"b":2}' >/dev/null; P feed p '{"c":3} {bad' 2>/dev/null; ${ALL}`,
    code: 0,
    stdout: '{"a":1}\n{"b":2}\n',
  },
  {
    says: "bad inline JSON creates nothing",
    line: `P feed new --create 'bad'; c=$?; ls; exit $c`,
    code: ErrorKind.Usage,
    stdout: "",
    kind: "Usage",
    message: "invalid json",
    hint: ["single JSON value"],
  },
  {
    says: "an array is not a message",
    line: "P pool create p >/dev/null; P feed p '[1]'",
    code: ErrorKind.Usage,
    message: "data must be object",
  },
  {
    says: "a missing pool names the exact command that works",
    line: `P feed nope --tag 'a b' '{"x":1}'`,
    code: ErrorKind.NotFound,
    kind: "NotFound",
    message: "not found",
    hint: ["exact command", "feed nope --create", `--tag "a b"`],
  },
  {
    says: "--create-size alone creates; an existing pool keeps its size",
    line:
      `P feed p --create-size 64K '{"x":1}' >/dev/null; P feed p --create-size nonsense '{"x":2}' >/dev/null; P pool info p --json | jq .file_size`,
    code: 0,
    stdout: "65536\n",
  },
  {
    says: "a bad --create-size creates nothing",
    line: `P feed p --create-size 64Q '{"x":1}'; c=$?; ls; exit $c`,
    code: ErrorKind.Usage,
    stdout: "",
    message: "invalid size suffix",
    hint: ["K/M/G"],
  },
  {
    says: "a message larger than the ring is refused with nothing written",
    line:
      `P pool create p --size 8192 >/dev/null; P feed p "{\\"x\\":\\"$(head -c 9000 /dev/zero | tr '\\0' a)\\"}"`,
    code: ErrorKind.Usage,
    message: "payload exceeds ring capacity",
  },
  {
    says: "lines from a pipe, blank lines skipped, several values on one line",
    line: `printf '{"a":1}\\n\\n{"b":2} {"c":3}\\n{"d":4}' | P feed p --create >/dev/null; ${ALL}`,
    code: 0,
    stdout: '{"a":1}\n{"b":2}\n{"c":3}\n{"d":4}\n',
  },
  {
    says: "pretty-printed JSON over several lines",
    line:
      `printf '{"a": {\\n  "b": [1,\\n {"c": "}"}]}\\n}\\n{"d":1}\\n' | P feed p --create >/dev/null; ${ALL}`,
    code: 0,
    stdout: '{"a":{"b":[1,{"c":"}"}]}}\n{"d":1}\n',
  },
  {
    says: "RFC 7464 json-seq, as journalctl writes it",
    line: `printf '\\036{"a":1}\\n\\036{"b":2}\\n' | P feed p --create >/dev/null; ${ALL}`,
    code: 0,
    stdout: '{"a":1}\n{"b":2}\n',
  },
  {
    says: "an event stream",
    line:
      `printf ': hi\\n\\nevent: x\\ndata: {"a":\\ndata: 1}\\n\\nid: 2\\ndata: {"b":2}\\n\\n' | P feed p --create >/dev/null; ${ALL}`,
    code: 0,
    stdout: '{"a":1}\n{"b":2}\n',
  },
  {
    says: "the first bad record ends the run; what came before stays",
    line: `printf '{"a":1}\\nnope\\n{"b":2}\\n' | P feed p --create; c=$?; ${ALL}; exit $c`,
    code: ErrorKind.Usage,
    stdout: receipt(1) + '{"a":1}\n',
    kind: "Usage",
    message: "invalid json input",
    hint: ["-e skip"],
  },
  {
    says: "--errors skip goes on and exits 1",
    line:
      `printf '{"a":1}\\nnope\\n{"b":2}\\n' | P feed p --create -e skip 2>/dev/null; c=$?; exit $c`,
    code: 1,
    stdout: receipt(1) + receipt(2),
  },
  {
    says: "no record at all is missing input",
    line: "printf '\\n \\n' | P feed p --create",
    code: ErrorKind.Usage,
    message: "missing data input",
    hint: ["--file", "pipe JSON"],
  },
  {
    says: "no record at all is fine with --input-format",
    line: "printf '' | P feed p --create --input-format auto",
    code: 0,
    stdout: "",
  },
  {
    says: "-i json takes one value, --input-format json a stream of them",
    line:
      `printf '{"a":1} {"b":2}' > f; P feed p --create -i json -f f 2>/dev/null; echo $?; P feed p --input-format json -f f >/dev/null; ${ALL}`,
    code: 0,
    stdout: '2\n{"a":1}\n{"b":2}\n',
  },
  {
    says: "complete messages are copied with their tags; --data stores them as data",
    line:
      `P feed a --create --tag t '{"x":1}' --format json | P feed p --create >/dev/null; P follow a --no-follow --format json | P feed p --data >/dev/null; P follow p --no-follow --jsonl | jq -c '[.meta.tags, (.data|keys)]'`,
    code: 0,
    stdout: '[["t"],["x"]]\n[[],["data","meta","seq","time"]]\n',
  },
  {
    says: "YAML and framed Lite3 travel between pools",
    line:
      `P feed a --create --tag t '{"x":1,"s":"no","f":1.0}' >/dev/null; P follow a --no-follow --format yaml | P feed p --create >/dev/null; P follow a --no-follow --format lite3 | P feed p >/dev/null; P follow p --no-follow --jsonl`,
    code: 0,
    stdout: message(1, '{"x":1,"s":"no","f":1.0}', '"t"') +
      message(2, '{"x":1,"s":"no","f":1.0}', '"t"'),
  },
  {
    says: "an unreadable file is an i/o error with its path",
    line: "P feed p --create --file missing.json",
    code: ErrorKind.Io,
    kind: "Io",
    message: "failed to read data file",
  },
  {
    says: "DATA and --file exclude one another",
    line: `P feed p '{"x":1}' --file f`,
    code: ErrorKind.Usage,
    hint: ["--help"],
  },
  {
    says: "--retry-delay needs --retry",
    line: `P feed p --create --retry-delay 1s '{"x":1}'`,
    code: ErrorKind.Usage,
    message: "--retry-delay requires --retry",
    hint: ["Add --retry"],
  },
  {
    says: "token flags need a remote pool",
    line: `P feed p --create --token x '{"x":1}'`,
    code: ErrorKind.Usage,
    message: "feed remote auth/TLS flags require a remote http(s) pool ref",
  },
  {
    says: "a bad durability is named",
    line: `P feed p --create --durability slow '{"x":1}'`,
    code: ErrorKind.Usage,
    message: "invalid durability",
    hint: ["fast", "flush"],
  },
  {
    says: "flush stores, too",
    line: `P feed p --create --durability flush '{"x":1}' >/dev/null && ${ALL}`,
    code: 0,
    stdout: '{"x":1}\n',
  },
  {
    says: "a closed stdout ends quietly",
    line: `P pool create p >/dev/null; P feed p '{"x":1}' | true; echo \${PIPESTATUS[0]}`,
    code: 0,
    stdout: "0\n",
  },
  {
    says: "a full stdout is an i/o error, and the append stays",
    line: `P pool create p >/dev/null; P feed p '{"x":1}' > /dev/full; c=$?; ${ALL}; exit $c`,
    code: ErrorKind.Io,
    stdout: '{"x":1}\n',
    kind: "Io",
    message: "failed to write stdout",
    hint: ["completed appends remain stored"],
  },
  {
    says: "a message that is not retained",
    line: `P feed p --create '{"x":1}' >/dev/null; P fetch p 7`,
    code: ErrorKind.NotFound,
    kind: "NotFound",
    message: "message not found",
    hint: ["plasmite pool info p", "plasmite follow p --tail 10"],
  },
  {
    says: "fetch says how to make a missing pool",
    line: "P fetch nope 1",
    code: ErrorKind.NotFound,
    message: "not found",
    hint: ["pool create nope", "--dir"],
  },
  {
    says: "fetch refuses what is no number",
    line: "P fetch p abc",
    code: ErrorKind.Usage,
    message: "invalid value 'abc' for '<SEQ>': invalid digit found in string",
  },
];

const jq = await exists("jq");

for (const row of rows) {
  Deno.test(
    { name: `feed/fetch: ${row.says}`, ignore: row.line.includes("jq ") && !jq },
    () =>
      inTemp(async (dir) => {
        const outcome = await sh(dir, row.line);
        assert.equal(outcome.code, row.code, outcome.stderr);
        if (row.stdout !== undefined) {
          assert.equal(outcome.stdout.replaceAll(TIME, '"time":"T"'), row.stdout);
        }
        if (row.code === 0) assert.equal(outcome.stderr, "");
        if (row.message === undefined && row.hint === undefined) return;
        const error = errorOf(outcome);
        if (row.kind !== undefined) assert.equal(error["kind"], row.kind);
        if (row.message !== undefined) assert.equal(error["message"], row.message);
        for (const token of row.hint ?? []) {
          assert.ok(String(error["hint"]).includes(token), `${error["hint"]} lacks ${token}`);
        }
      }),
  );
}

Deno.test("feed: skip notices carry the facts, and a summary follows", () =>
  inTemp(async (dir) => {
    const { stderr, code } = await sh(
      dir,
      `printf '{"a":1}\\nnot-json\\n{"b":2}\\n' | P feed demo --create -e skip > out`,
    );
    assert.equal(code, 1);
    const notices = stderr.trim().split("\n").map((line) => JSON.parse(line).notice);
    assert.deepEqual(
      notices.map((notice) => [notice.cmd, notice.kind, notice.message, notice.pool]),
      [
        ["feed", "ingest_skip", "Skipped invalid JSON.", "demo"],
        ["feed", "ingest_summary", "Finished with 1 skipped record.", "demo"],
      ],
    );
    assert.deepEqual(notices[0].details, {
      error_kind: "Parse",
      index: 2,
      line: 2,
      mode: "jsonl",
      pool_path: `${dir}/demo.plasmite`,
      snippet: "not-json",
    });
    assert.deepEqual(notices[1].details, {
      failed: 1,
      ok: 2,
      pool_path: `${dir}/demo.plasmite`,
      total: 3,
    });
  }));

Deno.test("feed: a slow producer's record is stored before the next one comes", () =>
  inTemp(async (dir) => {
    // The producer waits for its first record to appear in the pool before it writes the second.
    const { code, stdout } = await sh(
      dir,
      `P pool create p >/dev/null
       { echo '{"n":1}'; P follow p --tail 1 --one --jsonl --data-only >&2; echo '{"n":2}'; } 2>seen | P feed p >/dev/null
       cat seen; ${ALL}`,
    );
    assert.equal(code, 0);
    assert.equal(stdout, '{"n":1}\n{"n":1}\n{"n":2}\n');
  }));

Deno.test("feed: a ring far smaller than the input keeps the newest and never fails", () =>
  inTemp(async (dir) => {
    const { code, stdout } = await sh(
      dir,
      `for i in $(seq 2000); do echo "{\\"i\\":$i}"; done | P feed p --create-size 20000 | tail -1 | cut -d, -f2
       ${ALL} | tail -1; P doctor p`,
    );
    assert.equal(code, 0);
    assert.equal(stdout, '"seq":2000\n{"i":2000}\nOK: p\n');
  }));

Deno.test({
  name: "feed: a terminal shows a short receipt",
  ignore: !hasScript,
  fn: () =>
    inTemp(async (dir) => {
      const { screen } = await onTerminal(
        `$P --dir '${dir}' feed p --create --tag a --tag b '{"x":1}'`,
      );
      assert.match(screen, /^fed seq=1 at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ {2}tags: a,b\n$/);
    }),
});

Deno.test({
  name: "feed: receipts fed into another pool are pointed out, once, to a person only",
  ignore: !hasScript,
  fn: () =>
    inTemp(async (dir) => {
      const two = `printf '{"a":1}\\n{"b":2}\\n' | $P --dir '${dir}' feed a --create`;
      const { screen } = await onTerminal(`${two} | $P --dir '${dir}' feed b --create > /dev/null`);
      assert.equal(screen.split("--format json").length, 2, screen);
      const { stderr } = await sh(
        dir,
        `echo '{"c":3}' | P feed a | P feed b > /dev/null`,
      );
      assert.equal(stderr, "");
    }),
});

Deno.test("feed says how long it really waited for a lock, not only its own pauses", () => {
  assert.equal(retriesTold(4, 35_204), "Retry attempts: 4 (waited 35.2s).");
  assert.equal(retriesTold(2, 999.4), "Retry attempts: 2 (waited 999ms).");
  assert.equal(retriesTold(2, 50), "Retry attempts: 2 (waited 50ms).");
});

// Lost: the tags of a message that stands on the command line, with a key that is spelt otherwise.
Deno.test("a complete message as an argument is copied, however its keys are spelt", async () => {
  await inTemp(async (dir) => {
    const rest = '"data":{"n":1},"seq":7,"time":"2026-11-22T20:45:29Z"';
    for (const key of ['"meta"', '"\\u006deta"', '"m\\u0065ta"']) {
      const text = `{${key}:{"tags":["t"]},${rest}}`;
      const { code, stdout, stderr } = await cli(["--dir", dir, "feed", "p", "--create", text]);
      assert.equal(code, 0, stderr);
      assert.deepEqual(JSON.parse(stdout).meta.tags, ["t"], key);
    }
    const { stdout } = await cli(["--dir", dir, "follow", "p", "--no-follow", "--jsonl"]);
    for (const line of stdout.trim().split("\n")) {
      const { data, meta } = JSON.parse(line);
      assert.deepEqual([data, meta], [{ n: 1 }, { tags: ["t"] }]);
    }
  });
});

// A message that happened to have as many members as a complete one was an internal error.
Deno.test("feed takes an argument with four members", () =>
  inTemp(async (dir) => {
    const data = '{"a":1,"b":2,"c":3,"d":4}';
    const { code, stderr } = await cli(["--dir", dir, "feed", "p", "--create", data]);
    assert.equal(code, 0, stderr);
  }));

// Lost: which message is which, for whoever keeps the receipts. The line before is taken for the next
// one where only the number differs, and numbers get longer.
Deno.test("feed: each receipt of a long input has the number and the time of its message", () =>
  inTemp(async (dir) => {
    const lines = (count: number): string => '{"n":1}\n'.repeat(count);
    let receipts = "";
    for (const count of [1, 7, 3, 120, 12_000]) {
      const fed = await cli(["--dir", dir, "feed", "p", "--create-size", "8M", "--tag", "9"], {
        stdin: lines(count),
      });
      assert.equal(fed.code, 0, fed.stderr);
      assert.equal(fed.stdout.trimEnd().split("\n").length, count);
      receipts += fed.stdout;
    }
    const stored = await cli(["--dir", dir, "follow", "p", "--no-follow", "--jsonl"]);
    const of = (text: string): unknown[] =>
      text.trimEnd().split("\n").map((line) => {
        const { meta, seq, time } = JSON.parse(line);
        return { meta, seq, time };
      });
    assert.deepEqual(of(receipts), of(stored.stdout));
  }));

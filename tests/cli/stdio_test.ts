/**
 * Whoever shares our pipe may leave it non-blocking: lines were repeated dozens of times or lost, and
 * the exit code was 0. Every byte comes exactly once, whatever the descriptor and its reader.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { nextPiece } from "../../lib/stdio.ts";
import { Client } from "../../mod.ts";
import { CLI, exists, inTemp } from "./cli_util.ts";
import { inCheckout, ROOT } from "../support/paths.ts";

const DRIVER = inCheckout("tests/support/narrow.py");
const PUT_OUT = inCheckout("tests/support/put_out.ts");
const STDIO = new URL("../../lib/stdio.ts", import.meta.url).href;
const ignore = Deno.build.os === "windows" || !await exists("python3");

interface Narrow {
  readonly cmd: readonly string[];
  readonly kind?: string;
  readonly flags?: string;
  readonly stream?: 1 | 2;
  readonly input?: string;
  readonly trickle?: boolean;
}

/** Runs a command into a descriptor of that kind; what came out, and how it ended. */
async function narrow(
  dir: string,
  spec: Narrow,
): Promise<{ bytes: Uint8Array; code: number; other: string }> {
  const output = await Deno.makeTempFile({ dir });
  const full = { kind: "pipe", flags: "nonblocking", ...spec, output };
  const { stdout, stderr } = await new Deno.Command("python3", {
    args: [DRIVER, JSON.stringify(full)],
  }).output();
  assert(stdout.length > 0, new TextDecoder().decode(stderr));
  return { bytes: await Deno.readFile(output), ...JSON.parse(new TextDecoder().decode(stdout)) };
}

function plasmite(dir: string, ...args: string[]): string[] {
  return [Deno.execPath(), "run", "-A", "--quiet", CLI, "--dir", dir, ...args];
}

/** Short lines, empty ones, long ones, some longer than any buffer, and no newline at the end. */
function text(): Uint8Array {
  const lengths = [0, 1, 7, 150, 300, 1022, 1023, 1024, 1025, 2047, 4095, 4096, 5000, 90_000];
  let out = "";
  for (let i = 0; out.length < 700_000; i++) {
    const length = lengths[(i * i + 3 * i) % lengths.length] ?? 0;
    out += String(i).padEnd(length, "abcdefghij".charAt(i % 10)) + "\n";
    for (let j = 0; j < 30; j++) out += `${i}.${j}\n`;
  }
  return new TextEncoder().encode(`${out}the end`);
}

function assertSame(actual: Uint8Array, expected: Uint8Array, what: string): void {
  const at = expected.findIndex((byte, i) => actual[i] !== byte);
  assert.equal(
    at,
    -1,
    `${what}: ${actual.length} of ${expected.length} bytes, other from ${at} on`,
  );
  assert.equal(actual.length, expected.length, what);
}

for (const kind of ["pipe", "socket", "tcp", "terminal", "file"]) {
  Deno.test({
    name: `standard streams: nothing is lost or repeated on a non-blocking ${kind}`,
    ignore,
    fn: () =>
      inTemp(async (dir) => {
        const input = `${dir}/text`;
        await Deno.writeFile(input, text());
        for (const flags of ["nonblocking", "changing"]) {
          for (const [stream, name] of [[1, "stdout"], [2, "stderr"]] as const) {
            const seed = String(kind.length + flags.length);
            const cmd = [Deno.execPath(), "run", "-A", "--quiet", PUT_OUT, name, input, seed];
            const { bytes, code, other } = await narrow(dir, { cmd, kind, flags, stream });
            assertSame(bytes, text(), `${name}, ${flags}: ${other}`);
            assert.equal(code, 0, other);
          }
        }
      }),
  });
}

Deno.test({
  name: "standard streams: the same without the permission to look what stdout is",
  ignore,
  fn: () =>
    inTemp(async (dir) => {
      const input = `${dir}/text`;
      await Deno.writeFile(input, text());
      for (const kind of ["pipe", "socket"]) {
        const read = `--allow-read=${ROOT},${dir}`;
        const cmd = [Deno.execPath(), "run", read, "--quiet", PUT_OUT, "stdout", input];
        const { bytes, code, other } = await narrow(dir, { cmd, kind });
        assertSame(bytes, text(), `${kind}: ${other}`);
        assert.equal(code, 0, other);
      }
    }),
});

Deno.test("standard streams: a piece is taken whole, counted, or known to rest in the buffer", () => {
  const bytes = fc.array(fc.constantFrom("a", "\n", "b".repeat(1023), "c".repeat(1024), "d"), {
    minLength: 1,
    maxLength: 30,
  }).map((parts) => new TextEncoder().encode(parts.join("")));
  fc.assert(fc.property(bytes, fc.constantFrom(1, 512, 2048, 4096), (bytes, atomic) => {
    for (let at = 0; at < bytes.length;) {
      const { end, buffered } = nextPiece(bytes, at, atomic);
      assert(end > at && end <= bytes.length);
      const newline = bytes.subarray(at, end).includes(10);
      // With newlines: all or nothing. Without: counted from 1024 bytes on, buffered below.
      if (newline) assert(end - at <= atomic && bytes[end - 1] === 10 && !buffered);
      else assert.equal(buffered, end - at < 1024);
      at = end;
    }
  }));
});

Deno.test({
  name: "commands: what they print arrives once in a non-blocking pipe",
  ignore,
  fn: async (t) => {
    await inTemp(async (dir) => {
      {
        using client = new Client(dir);
        using pool = client.createPool("p", { sizeBytes: 4 * 1024 * 1024 });
        pool.append({ long: "y".repeat(200_000) });
        for (let i = 0; i < 2000; i++) pool.append({ i, p: "x".repeat(200) });
      }
      const input = `${dir}/in.jsonl`;
      await Deno.writeTextFile(input, '{"a":1}\n'.repeat(3000));
      await Deno.writeTextFile(`${dir}/few`, '{"a":1}\n'.repeat(300));
      for (
        const args of [
          ["fetch", "p", "1"],
          ["fetch", "p", "1", "--format", "lite3"],
          ["follow", "p", "--no-follow"],
          ["follow", "p", "--no-follow", "--jsonl", "--tail", "1500"],
          ["follow", "p", "--no-follow", "--format", "lite3"],
          ["tap", "t", "--create", "--", "seq", "30000"],
          ["completion", "bash"],
        ]
      ) {
        await t.step(args.join(" "), async () => {
          const { bytes } = await narrow(dir, { cmd: plasmite(dir, ...args), flags: "blocking" });
          const slow = await narrow(dir, { cmd: plasmite(dir, ...args) });
          assertSame(slow.bytes, bytes, slow.other);
          assert.equal(slow.code, 0);
        });
      }
      await t.step("feed prints one receipt a message", async () => {
        const cmd = plasmite(dir, "feed", "p");
        const { bytes, code } = await narrow(dir, { cmd, input });
        const receipts = new TextDecoder().decode(bytes).trimEnd().split("\n");
        assert.deepEqual(
          receipts.map((line) => JSON.parse(line).seq),
          Array.from({ length: 3000 }, (_, i) => 2002 + i),
        );
        assert.equal(code, 0);
      });
      await t.step("an input that is non-blocking, too, is read to its end", async () => {
        const { bytes, code } = await narrow(dir, {
          cmd: plasmite(dir, "feed", "p"),
          input: `${dir}/few`,
          trickle: true,
        });
        assert.equal(new TextDecoder().decode(bytes).trimEnd().split("\n").length, 300);
        assert.equal(code, 0);
      });
      await t.step("feed reports each skipped record once", async () => {
        const bad = `${dir}/bad.jsonl`;
        await Deno.writeTextFile(bad, "nonsense\n".repeat(1000));
        const cmd = plasmite(dir, "feed", "p", "--in", "jsonl", "-e", "skip");
        const { bytes } = await narrow(dir, { cmd, input: bad, stream: 2 });
        const notices = new TextDecoder().decode(bytes).trimEnd().split("\n")
          .map((line) => JSON.parse(line).notice);
        assert.equal(notices.filter(({ kind }) => kind === "ingest_skip").length, 1000);
        assert.equal(notices.length, 1001);
      });
      await t.step("mcp answers every call once", async () => {
        const calls = Array.from({ length: 40 }, (_, id) => ({
          jsonrpc: "2.0",
          id,
          method: "tools/call",
          params: { name: "plasmite_fetch", arguments: { pool: "p", seq: 2000 } },
        }));
        const init = {
          jsonrpc: "2.0",
          id: "init",
          method: "initialize",
          params: {
            protocolVersion: "2025-06-18",
            capabilities: {},
            clientInfo: { name: "test", version: "1" },
          },
        };
        const lines = `${dir}/calls.jsonl`;
        await Deno.writeTextFile(
          lines,
          [init, ...calls].map((c) => JSON.stringify(c) + "\n").join(""),
        );
        const { bytes, code } = await narrow(dir, {
          cmd: plasmite(dir, "mcp"),
          input: lines,
          trickle: true,
        });
        const answers = new TextDecoder().decode(bytes).trimEnd().split("\n")
          .map((line) => JSON.parse(line));
        assert.deepEqual(answers.map(({ id }) => id), ["init", ...calls.map(({ id }) => id)]);
        assert.equal(code, 0);
      });
    });
  },
});

Deno.test("a serving process continues when no one reads its log", () =>
  inTemp(async (dir) => {
    const script = `${dir}/log.ts`;
    await Deno.writeTextFile(
      script,
      `import { StandardStream } from ${JSON.stringify(STDIO)};
       StandardStream.stderr.writeInBackground();
       const line = new TextEncoder().encode("x".repeat(99) + "\\n");
       for (let i = 0; i < 50_000; i++) StandardStream.stderr.writeSync(line);
       await StandardStream.stdout.write(new TextEncoder().encode("served"));
       await StandardStream.stderr.settle(1);
       Deno.exit(3);`,
    );
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", script],
      stdin: "null",
      stdout: "piped",
      stderr: "piped", // Not read before it has ended.
    }).spawn();
    assert.equal(await new Response(child.stdout).text(), "served");
    assert.equal((await child.status).code, 3);
    const log = await new Response(child.stderr).text();
    assert(log.length > 0 && log.length < 50_000 * 100);
    assert(log.split("\n").every((line, i, all) => line.length === 99 || i === all.length - 1));
  }));

Deno.test("only lib/stdio.ts touches the standard streams", () => {
  // In a worker of its own, jq's log is silenced.
  const mayTouch = ["lib/stdio.ts", "lib/filter/jq_worker.ts"];
  const found: string[] = [];
  const visit = (path: string): void => {
    for (const { name, isDirectory } of Deno.readDirSync(ROOT + path)) {
      const file = `${path}${name}`;
      if (isDirectory) visit(`${file}/`);
      else if (file.endsWith(".ts") && !mayTouch.includes(file)) {
        const code = Deno.readTextFileSync(ROOT + file).replaceAll(/^\s*(\/\*\*|\*|\/\/).*$/gm, "");
        if (
          /\bDeno\.(stdout|stderr)\b(?!\.isTerminal\(\))|\bconsole\.|\bprocess\.std|\bDeno\.stdin\.read/
            .test(code)
        ) {
          found.push(file);
        }
      }
    }
  };
  for (const room of ["lib/", "mcp/", "server/"]) visit(room);
  assert.deepEqual(found.filter((file) => !file.startsWith("server/ui/")), []);
  const door = Deno.readTextFileSync(`${ROOT}cli.ts`).replaceAll(/^\s*(\/\*\*|\*|\/\/).*$/gm, "");
  assert(!/\bDeno\.(stdout|stderr|stdin)\b|\bconsole\./.test(door));
});

// Lost: memory, for asking every second whether a file or nobody still reads; or, without asking,
// `follow | head -1` stays until the next message.
Deno.test({
  name: "stdout: a pipe has a reader that may go away, a file and /dev/null have none",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    inTemp(async (dir) => {
      const program = `const { StandardStream } = await import("${STDIO}");
        console.error(StandardStream.stdout.isRead);`;
      const isRead = async (redirect: string): Promise<string> => {
        const { stderr } = await new Deno.Command("bash", {
          args: ["-c", `"$0" eval "$1" ${redirect}`, Deno.execPath(), program],
        }).output();
        return new TextDecoder().decode(stderr).trim();
      };
      assert.deepEqual(
        await Promise.all(["> /dev/null", `> ${dir}/file`, "| cat"].map(isRead)),
        ["false", "false", "true"],
      );
    }),
});

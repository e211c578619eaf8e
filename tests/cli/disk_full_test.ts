/**
 * A disk that takes no more. Whoever appends then must read what is full and what to do; `Internal …
 * report this` sent people to us instead, and a limit on the size of files ended their programs.
 *
 * A full disk cannot be made by everyone who runs tests. `ulimit -f` can: the system then refuses the
 * same write for another reason.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ErrorKind } from "../../lib/errors.ts";
import { Client } from "../../mod.ts";
import { osError } from "../../lib/storage/os_error.ts";
import { CLI, ROOT } from "../support/paths.ts";
import { withDir } from "../support/processes.ts";

const decoder = new TextDecoder();

/** The largest file, in KiB, and a pool that is larger. */
const LIMIT = 4096;
const POOL_SIZE = 8 << 20;

/** A pool in which the next message would lie beyond the limit. */
function nearlyFull(dir: string): void {
  using pool = new Client(dir).createPool("p", POOL_SIZE);
  for (let i = 0; i < 41; i++) pool.append({ pad: "x".repeat(100_000) });
}

interface Done {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs Deno where no file may be larger than the limit; `trap` is how SIGXFSZ is met. */
async function limited(args: string[], trap = ""): Promise<Done> {
  const done = await new Deno.Command("bash", {
    args: ["-c", `${trap}; ulimit -f ${LIMIT}; exec "$0" "$@"`, Deno.execPath(), ...args],
    stdin: "null",
  }).output();
  return {
    code: done.code,
    stdout: decoder.decode(done.stdout),
    stderr: decoder.decode(done.stderr),
  };
}

const RUN = ["run", "-A", "--quiet", "--no-check", "--no-code-cache"];
const BIG = JSON.stringify({ pad: "x".repeat(100_000) });

Deno.test("disk full: the command line says Io, which pool, and what to do; nothing old is lost", async () => {
  await withDir(async (dir) => {
    nearlyFull(dir);
    const before = new Client(dir).poolInfo("p").bounds.newestSeq;
    for (const trap of [":", "trap '' XFSZ"]) {
      const cases = [
        ["feed", "p", BIG],
        ["tap", "p", "--", "sh", "-c", `printf '%100000s\\n' x; printf '%100000s\\n' x`],
        ["pool", "create", "q", "--size", "16M"],
        ["feed", "r", "{}", "--create", "--create-size", "16M"],
      ];
      for (const args of cases) {
        const { code, stderr } = await limited([...RUN, CLI, "--dir", dir, ...args], trap);
        const what = `${args.slice(0, 3).join(" ").slice(0, 40)} (${trap}): ${stderr.slice(-500)}`;
        assert.equal(code, ErrorKind.Io, what);
        const { error } = JSON.parse(stderr.trim().split("\n").at(-1) ?? "");
        assert.equal(error.kind, "Io", what);
        assert.match(error.path, /\/[pqr]\.plasmite$/, what);
        assert.match(error.hint, /larger than this process or file system allows/, what);
      }
    }
    const { bounds } = new Client(dir).poolInfo("p");
    assert.equal(bounds.oldestSeq, 1n);
    assert.ok((bounds.newestSeq ?? 0n) >= (before ?? 0n));
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["p.plasmite"]);
  });
});

Deno.test("disk full: the library throws Io with the path, synchronously and not", async () => {
  await withDir(async (dir) => {
    nearlyFull(dir);
    const script = `
      import { Client } from ${JSON.stringify(new URL("../../mod.ts", import.meta.url).href)};
      const pool = new Client(${JSON.stringify(dir)}).openPool("p");
      const data = ${BIG};
      for (const append of [
        () => pool.append(data), () => pool.append(data, [], "flush"),
        () => pool.appendAsync(data), () => pool.appendBatch([data, data]),
      ]) {
        try { await append(); console.log("stored"); }
        catch (error) { console.log(error.kindName, error.path.split("/").at(-1), error.hint); }
      }
      Deno.exit(0);`;
    const file = `${dir}/script.ts`;
    Deno.writeTextFileSync(file, script);
    const { stdout, stderr } = await limited(
      [...RUN, "--config", `${ROOT}deno.json`, file],
      "trap '' XFSZ",
    );
    const lines = stdout.trim().split("\n");
    assert.equal(lines.length, 4, stderr);
    for (const line of lines) assert.match(line, /^Io p\.plasmite The file would be larger/);
  });
});

// A file remembers its position. Lost otherwise: the header of a pool, under what was meant for a place
// behind it, because the write before ended half-way.
Deno.test("disk full: after a write that was cut off the next access finds its place", async () => {
  await withDir(async (dir) => {
    const place = LIMIT * 1024 - 100;
    const script = `
      import { disk } from ${
      JSON.stringify(new URL("../../lib/storage/file.ts", import.meta.url).href)
    };
      const path = ${JSON.stringify(`${dir}/file`)};
      Deno.createSync(path).close();
      const file = disk.open(path, { write: true });
      file.writeAt(new Uint8Array([1]), ${place} - 1);
      try { file.writeAt(new Uint8Array(1000).fill(2), ${place}); }
      catch (error) { console.log(error.kindName); }
      file.writeAt(new Uint8Array([3]), ${place});
      const into = new Uint8Array(4);
      file.readAt(into, ${place} - 1);
      console.log(into.join(" "));
      file.close();`;
    const program = `${dir}/script.ts`;
    Deno.writeTextFileSync(program, script);
    const { stdout, stderr } = await limited(
      [...RUN, "--config", `${ROOT}deno.json`, program],
      "trap '' XFSZ",
    );
    assert.equal(stdout, "Io\n1 3 2 2\n", stderr);
  });
});

Deno.test("disk full: the server answers 500 Io with the pool's name, and goes on", async () => {
  await withDir(async (dir) => {
    nearlyFull(dir);
    const ready = `${dir}/ready.txt`;
    const server = new Deno.Command("bash", {
      args: [
        "-c",
        `ulimit -f ${LIMIT}; exec "$0" "$@"`,
        Deno.execPath(),
        ...[...RUN, CLI, "--dir", dir, "serve", "--bind", "127.0.0.1:0"],
      ],
      env: { PLASMITE_SERVE_READY_FILE: ready },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const told = new Response(server.stderr).text();
    let address = "";
    for (let i = 0; i < 3000 && address === ""; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      address = await Deno.readTextFile(ready).catch(() => "");
    }
    const post = async (path: string, type: string, body: string) => {
      const answer = await fetch(`http://${address}${path}`, {
        method: "POST",
        headers: { "content-type": type },
        body,
      });
      return { status: answer.status, json: await answer.json() };
    };
    const line = `{"data":${BIG}}`;
    for (
      const { status, json } of [
        await post("/v0/pools/p/append", "application/json", line),
        await post("/v0/pools/p/append_batch", "application/jsonl", `${line}\n${line}\n`),
        await post("/v0/pools", "application/json", '{"pool":"q","size_bytes":16777216}'),
      ]
    ) {
      assert.equal(status, 500);
      assert.equal(json.error.kind, "Io");
      assert.match(json.error.path, /^[pq]\.plasmite$/);
      assert.match(json.error.hint, /larger than this process/);
    }
    const call = {
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "plasmite_feed", arguments: { pool: "p", data: JSON.parse(BIG) } },
    };
    const { json } = await post("/mcp", "application/json", JSON.stringify(call));
    assert.equal(json.result.structuredContent.error_kind, "Io");
    const info = await fetch(`http://${address}/v0/pools/p/info`);
    assert.equal(info.status, 200);
    await info.body?.cancel();
    server.kill("SIGTERM");
    assert.equal((await server.status).code, 0);
    assert.doesNotMatch(await told, /unexpected/);
  });
});

Deno.test("disk full: each reason has its own advice", () => {
  const quota = Deno.build.os === "linux" ? 122 : 69;
  const advice: [number, RegExp][] = [
    [28, /^The disk is full/],
    [quota, /^The disk quota is used up/],
    [27, /ulimit -f/],
    [30, /mounted read-only/],
  ];
  for (const [number, hint] of advice) {
    const error = osError(new Error(`No luck (os error ${number})`), { path: "/x" });
    assert.equal(error.kindName, "Io");
    assert.equal(error.path, "/x");
    assert.match(error.hint ?? "", hint);
  }
});

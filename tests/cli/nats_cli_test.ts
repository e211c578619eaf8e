import assert from "node:assert/strict";
import { connect, headers as newHeaders } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { cli, errorOf, inTemp, spawnCli } from "./cli_util.ts";
import { CLI } from "../support/paths.ts";
import { NATS_VERSIONS, NatsServer, natsServer } from "../support/nats.ts";
import { until } from "../support/patience.ts";

/** Runs what needs a server of each version. */
function test(title: string, run: (url: string, server: NatsServer) => Promise<void>): void {
  for (const version of NATS_VERSIONS) {
    Deno.test({
      name: `nats ${version} cli: ${title}`,
      ignore: natsServer(version) === undefined,
      fn: async () => {
        const server = await NatsServer.start(version);
        try {
          await run(server.url, server);
        } finally {
          await server.end();
        }
      },
    });
  }
}

async function ok(...args: string[]): Promise<string> {
  const { code, stderr, stdout } = await cli(args);
  assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
  return stdout;
}

async function fails(code: number, ...args: string[]): Promise<Record<string, unknown>> {
  const outcome = await cli(args);
  assert.equal(outcome.code, code, `${args.join(" ")}: ${outcome.stderr}`);
  return errorOf(outcome);
}

const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");
const seqs = (text: string): number[] => lines(text).map((line) => JSON.parse(line).seq);

/** An independent client, for what other programs do. */
async function other(
  url: string,
  work: (
    nc: Awaited<ReturnType<typeof connect>>,
    jsm: Awaited<ReturnType<typeof jetstreamManager>>,
  ) => Promise<void>,
): Promise<void> {
  const nc = await connect({ servers: url.slice("nats://".length) });
  await work(nc, await jetstreamManager(nc));
  await nc.close();
}

test("pools are created, described, listed and deleted", async (url) => {
  const ref = `${url}/ORDERS`;
  const { created } = JSON.parse(await ok("pool", "create", ref, "--size", "1M", "--json"));
  assert.equal(created[0].name, ref);
  assert.equal(created[0].file_size, 1 << 20);
  assert.deepEqual(created[0].bounds, {});
  // The server itself creates an equal stream again without a word.
  await fails(4, "pool", "create", ref, "--size", "1M");
  await fails(4, "pool", "create", ref, "--size", "2M");
  assert.match(String((await fails(2, "pool", "create", `${url}/B`))["hint"]), /--size 64M/);
  await fails(2, "pool", "create", `${url}/B`, "--size", "100");
  await fails(2, "pool", "create", `${url}/B`, "--size", "1M", "--replicas", "3");
  await fails(2, "pool", "create", "local", "--replicas", "3");
  await ok("pool", "create", `${url}/A`, "--size", "1M", "--max-age", "7d", "--dedupe", "1h");
  await ok("feed", ref, '{"n":1}');
  const info = JSON.parse(await ok("pool", "info", ref, "--json"));
  assert.equal(info.replicas, 1);
  assert.equal(info.leader, null);
  assert.match(info.version, /^2\./);
  assert.equal(info.index_capacity, undefined);
  assert.match(await ok("pool", "info", ref), /^Bounds: oldest=1 newest=1 count=1$/m);
  await other(url, async (_, jsm) => {
    const { config } = await jsm.streams.info("A");
    assert.equal(config.max_age, 7 * 86400 * 1e9);
    assert.equal(config.duplicate_window, 3600 * 1e9);
    await jsm.streams.add({ name: "FOREIGN", subjects: ["foreign"] });
  });
  const { pools } = JSON.parse(await ok("pool", "list", url, "--json"));
  assert.deepEqual(pools.map(({ name }: { name: string }) => name), ["A", "ORDERS"]);
  assert.match(await ok("pool", "list", url, "--all"), /^FOREIGN /m);
  await ok("pool", "delete", ref);
  assert.equal((await cli(["pool", "delete", ref])).code, 3);
  await fails(3, "pool", "info", ref);
});

test("feed says what a stream cannot do before anything is made", async (url) => {
  const ref = `${url}/P`;
  const missing = await fails(3, "feed", ref, '{"n":1}');
  assert.match(String(missing["hint"]), /pool create nats:.*\/P --size/);
  assert.match(String((await fails(2, "feed", ref, "--create", "{}"))["hint"]), /--create-size/);
  const size = ["--create", "--create-size", "64K"];
  await fails(2, "feed", ref, ...size, "--durability", "flush", "{}");
  await fails(2, "follow", ref, "--no-notify");
  await fails(2, "doctor", ref);
  assert.equal(await ok("pool", "list", url, "--json"), '{"pools":[]}\n');
  assert.deepEqual(seqs(await ok("feed", ref, ...size, '{"n":1}{"n":2}')), [1, 2]);
  await fails(2, "follow", "local", "--creds", "/f");
  await fails(2, "follow", "http://127.0.0.1:1/p", "--creds", "/f");
  await fails(2, "feed", ref, "--id", "x", "--id-window", "9", "{}");
});

// Another language's idea of a number, or a trimmed tag, is another message.
test("what comes out is what a local pool gives", (url) =>
  inTemp(async (dir) => {
    const ref = `${url}/P`;
    const local = ["--dir", dir];
    await ok("pool", "create", ref, "--size", "1M");
    const cases: [string, string[]][] = [
      ['{"min":-9223372036854775808,"max":9223372036854775807,"one":1.0,"zero":-0.0}', [" a", ""]],
      ['{"z":1,"a":[1,{"b":null}],"m":"größe\\u0000\\n"}', ["größe", "a\nb", "😀"]],
      ["{}", Array.from({ length: 1000 }, (_, i) => `tag ${i}`)],
    ];
    for (const [data, tags] of cases) {
      const more = tags.map((tag) => `--tag=${tag}`);
      await ok("feed", ref, data, ...more);
      await ok(...local, "feed", "p", "--create", data, ...more);
    }
    const without = (text: string): unknown[] =>
      lines(text).map((line) => line.replace(/"time":"[^"]*"/, ""));
    const read = ["--tail", "9", "--no-follow", "--jsonl"];
    assert.deepEqual(
      without(await ok("follow", ref, ...read)),
      without(await ok(...local, "follow", "p", ...read)),
    );
    const fetched = JSON.parse(await ok("fetch", ref, "2", "--json"));
    assert.deepEqual(fetched.meta.tags, ["größe", "a\nb", "😀"]);
  }));

// The server acknowledges it, and then removes it and everything before it.
test("a message as large as its stream is refused, and the stream stays", async (url) => {
  const ref = `${url}/P`;
  await ok("pool", "create", ref, "--size", "32K");
  await ok("feed", ref, '{"n":1}');
  const big = JSON.stringify({ x: "x".repeat(32_500) });
  const error = await fails(2, "feed", ref, big);
  assert.match(String(error["message"]), /payload exceeds ring capacity/);
  const records = `{"n":2}\n${big}\n{"n":3}\n`;
  const skipped = await cli(["feed", ref, "-e", "skip", "--in", "jsonl"], { stdin: records });
  assert.equal(skipped.code, 1, skipped.stderr);
  assert.deepEqual(seqs(skipped.stdout), [2, 3]);
  assert.match(skipped.stderr, /ingest_skip/);
  assert.deepEqual(seqs(await ok("follow", ref, "--tail", "9", "--no-follow", "--jsonl")), [
    1,
    2,
    3,
  ]);
});

test("ids, keys and expectations", async (url) => {
  const ref = `${url}/P`;
  await ok("pool", "create", ref, "--size", "1M");
  assert.deepEqual(seqs(await ok("feed", ref, "--expect", "none", '{"n":1}')), [1]);
  const conflict = await fails(10, "feed", ref, "--expect", "none", '{"n":1}');
  assert.equal(conflict["expected"], 0);
  assert.equal(conflict["actual"], 1);
  await ok("feed", ref, "--key", "k.*", "--expect", "none", '{"n":2}');
  await ok("feed", ref, "--key", "k.*", "--expect", "2", '{"n":3}');
  await fails(10, "feed", ref, "--key", "k.*", "--expect", "2", '{"n":4}');
  await ok("feed", ref, "--id", " an id", "--tag", "t", '{"n":5}');
  const again = JSON.parse(await ok("feed", ref, "--id", " an id", "--tag", "t", '{"n":5}'));
  assert.equal(again.duplicate, true);
  assert.equal(again.seq, 4);
  const other = await fails(10, "feed", ref, "--id", " an id", '{"n":6}');
  assert.equal(other["id"], " an id");
  const last = JSON.parse(await ok("fetch", ref, "4", "--json"));
  assert.deepEqual(last.meta.tags, ["t", "id: an id"]);
  const records = '{"n":7}\n{"n":8}\n{"n":7}\n';
  const many = await cli(["feed", ref, "--id-from", ".data.n|tostring"], { stdin: records });
  assert.equal(many.code, 0, many.stderr);
  assert.deepEqual(seqs(many.stdout), [5, 6, 5]);
});

// The ids of a purged stream are still known: the message vanished, and the receipt said "stored".
test("after a purge an old id stores the message again", async (url) => {
  const ref = `${url}/P`;
  await ok("pool", "create", ref, "--size", "1M");
  await ok("feed", ref, "--id", "one", '{"n":1}');
  await other(url, async (_, jsm) => void await jsm.streams.purge("P"));
  assert.deepEqual(seqs(await ok("feed", ref, "--id", "one", '{"n":1}')), [2]);
  assert.deepEqual(seqs(await ok("follow", ref, "--tail", "9", "--no-follow", "--jsonl")), [2]);
});

test("streams of other programs can be read, not written", async (url) => {
  await other(url, async (nc, jsm) => {
    await jsm.streams.add({ name: "F", subjects: ["f.>"] });
    for (const payload of ['{"a":1}', "[1,9223372036854775807]", "text", "", "\xff"]) {
      const bytes = payload === "\xff" ? new Uint8Array([0xff]) : payload;
      await nc.request("f.x", bytes);
    }
  });
  const told = lines(await ok("follow", `${url}/F`, "--tail", "9", "--no-follow", "--jsonl"))
    .map((line) => line.replace(/,"time".*/, ""));
  assert.deepEqual(told, [
    '{"data":{"a":1},"meta":{"tags":["subject:f.x"]},"seq":1',
    '{"data":{"value":[1,9223372036854775807]},"meta":{"tags":["subject:f.x"]},"seq":2',
    '{"data":{"text":"text"},"meta":{"tags":["subject:f.x"]},"seq":3',
    '{"data":{"text":""},"meta":{"tags":["subject:f.x"]},"seq":4',
    '{"data":{"base64":"/w=="},"meta":{"tags":["subject:f.x"]},"seq":5',
  ]);
  const error = await fails(2, "feed", `${url}/F`, "{}");
  assert.match(String(error["message"]), /stream F does not take messages from plasmite/);
});

// One program's mistake must not end everybody's followers.
test("a message that is not JSON is left out and told", async (url) => {
  const ref = `${url}/P`;
  await ok("pool", "create", ref, "--size", "1M");
  await ok("feed", ref, '{"n":1}');
  await other(url, async (nc) => {
    const headers = newHeaders();
    headers.set("Plasmite-Tags", "no list");
    await nc.request("plasmite.P.m", "not json");
    await nc.request("plasmite.P.m", '{"n":3}', { headers, timeout: 5_000 });
  });
  const outcome = await cli(["follow", ref, "--tail", "9", "--no-follow", "--jsonl"]);
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.deepEqual(seqs(outcome.stdout), [1, 3]);
  const { notice } = JSON.parse(outcome.stderr);
  assert.equal(notice.kind, "corrupt");
  assert.equal(notice.details.seq, 2);
  await fails(7, "fetch", ref, "2");
});

/** Collects what a process prints; `until` waits for so many lines. */
class Printed {
  text = "";
  readonly done: Promise<void>;
  #wake: () => void = () => {};

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.done = (async () => {
      for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
        this.text += piece;
        this.#wake();
      }
      this.#wake();
    })();
  }

  async until(count: number): Promise<void> {
    while (lines(this.text).length < count) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}

function start(...args: string[]): Deno.ChildProcess {
  return spawnCli(args, {
    stdout: "piped",
    stderr: "piped",
  });
}

test("a follower that was overtaken tells exactly what it lost", async (url, server) => {
  const ref = `${url}/P`;
  await ok("pool", "create", ref, "--size", "64K");
  await ok("feed", ref, '{"n":0}');
  const child = start("follow", ref, "--tail", "1", "--jsonl");
  const notices = new Printed(child.stderr);
  const printed = new Printed(child.stdout);
  await printed.until(1);
  child.kill("SIGSTOP");
  const filler = "x".repeat(200);
  const data = Array.from({ length: 3000 }, (_, n) => `{"n":${n},"filler":"${filler}"}\n`).join("");
  await Deno.writeTextFile(`${server.dir}/data`, data);
  await ok("feed", ref, "--file", `${server.dir}/data`);
  child.kill("SIGCONT");
  await until(() => printed.text.includes('"seq":3001'), "the last message never came");
  const got = seqs(printed.text);
  assert.equal(got.at(-1), 3001);
  let lost = 0;
  got.forEach((seq, i) => lost += seq - (got[i - 1] ?? 0) - 1);
  const told = (): number =>
    lines(notices.text).map((line) => JSON.parse(line).notice)
      .filter((notice) => notice?.kind === "drop")
      .reduce((sum, { details }) => sum + details.dropped_count, 0);
  // The second notice comes a second after the first, although nothing else arrives.
  await until(() => told() >= lost, () => `${told()} of ${lost}: ${notices.text}`);
  child.kill("SIGTERM");
  await child.status;
  await Promise.all([printed.done, notices.done]);
  assert.equal(told(), lost);
});

test("messages that were deleted from the middle are no loss", async (url) => {
  const ref = `${url}/P`;
  await ok("pool", "create", ref, "--size", "1M");
  await cli(["feed", ref], { stdin: '{"n":1}\n{"n":2}\n{"n":3}\n{"n":4}\n' });
  await other(url, async (_, jsm) => {
    await jsm.streams.deleteMessage("P", 2);
    await jsm.streams.deleteMessage("P", 4);
  });
  const outcome = await cli(["follow", ref, "--tail", "9", "--no-follow", "--jsonl"]);
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.equal(outcome.stderr, "");
  assert.deepEqual(seqs(outcome.stdout), [1, 3]);
  assert.deepEqual(seqs(await ok("follow", ref, "--tail", "1", "--no-follow", "--jsonl")), [3]);
  const { metrics, bounds } = JSON.parse(await ok("pool", "info", ref, "--json"));
  assert.deepEqual(bounds, { newest: 4, oldest: 1 });
  assert.equal(metrics.message_count, 2);
  assert.equal(metrics.seq_span, 4);
  await fails(3, "fetch", ref, "2");
});

// The client library waits for its old number forever.
test("a follower of a stream that was recreated ends, and prints nothing of the new", async (url) => {
  const ref = `${url}/P`;
  await ok("pool", "create", ref, "--size", "1M");
  await cli(["feed", ref], { stdin: '{"n":1}\n{"n":2}\n{"n":3}\n' });
  const child = start("follow", ref, "--tail", "3", "--jsonl");
  const printed = new Printed(child.stdout);
  await printed.until(3);
  await ok("pool", "delete", ref);
  await ok("pool", "create", ref, "--size", "1M");
  await ok("feed", ref, '{"new":1}');
  const { code } = await child.status;
  await printed.done;
  const stderr = await new Response(child.stderr).text();
  assert.equal(code, 3, stderr);
  assert.equal(lines(printed.text).length, 3);
  assert.match(stderr, /pool path now refers to a different file|pool was deleted/);
});

// The messages of one machine of a fleet could not be told from those of the others.
test("follow --source prints what was copied from there", async (url) => {
  const ref = `${url}/P`;
  await inTemp(async (dir) => {
    for (const name of ["a", "b"]) {
      await ok("feed", `${dir}/${name}`, "--create", `{"of":"${name}"}`);
      await ok("copy", `${dir}/${name}`, ref, "--source", name, "--create", "--create-size", "1M");
    }
    await ok("feed", ref, '{"of":"none"}');
    const told = lines(await ok("follow", ref, "--source", "b", "--no-follow", "--jsonl"));
    assert.deepEqual(told.map((line) => JSON.parse(line).data), [{ of: "b" }]);
    await fails(2, "follow", `${dir}/a`, "--source", "b", "--no-follow");
  });
});

test("tap, duplex and a start in the future", async (url) => {
  const ref = `${url}/P`;
  await ok("pool", "create", ref, "--size", "1M");
  assert.equal(await ok("tap", ref, "--tag", "t", "--", "echo", "hello"), "hello\n");
  const told = lines(await ok("follow", ref, "--tail", "9", "--no-follow", "--jsonl"));
  assert.deepEqual(told.map((line) => JSON.parse(line).data.kind), ["start", "line", "exit"]);
  assert.equal(await ok("follow", ref, "--since", "2999-01-01T00:00:00Z"), "");
  const both = spawnCli(["duplex", ref, "--tail", "1", "--jsonl"], {
    stdin: "piped",
    stdout: "piped",
  });
  const printed = new Printed(both.stdout);
  const writer = both.stdin.getWriter();
  await writer.write(new TextEncoder().encode('{"d":1}\n'));
  await printed.until(2);
  await writer.close();
  both.kill("SIGTERM");
  await both.status;
  await printed.done;
  assert.deepEqual(seqs(printed.text), [3, 4]);
});

test("a narrow permission is enough, and the server is told who it is", async (url, { port }) => {
  await ok("pool", "create", `${url}/P`, "--size", "1M");
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--quiet",
      "--allow-read",
      `--allow-net=127.0.0.1:${port}`,
      CLI,
      "feed",
      `${url}/P`,
      '{"n":1}',
    ],
    stdout: "piped",
    stderr: "piped",
  });
  const { code, stderr } = await child.output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
});

test("a cursor has one reader at a time and keeps its place", async (url) => {
  const ref = `${url}/P`;
  await ok("pool", "create", ref, "--size", "1M");
  await cli(["feed", ref], { stdin: '{"n":1}\n{"n":2}\n{"n":3}\n' });
  const read = ["follow", ref, "--cursor", "c", "--no-follow", "--jsonl"];
  assert.deepEqual(seqs(await ok(...read)), [1, 2, 3]);
  await ok("feed", ref, '{"n":4}');
  const { cursors } = JSON.parse(await ok("cursor", "list", ref, "--json"));
  assert.deepEqual([cursors[0].name, cursors[0].seq, cursors[0].lag], ["c", 3, 1]);
  const child = start("follow", ref, "--cursor", "c", "--jsonl");
  const printed = new Printed(child.stdout);
  await printed.until(1);
  const error = await fails(5, ...read);
  assert.match(String(error["message"]), /in use/);
  child.kill("SIGTERM");
  await child.status;
  await printed.done;
  await child.stderr.cancel();
  assert.deepEqual(seqs(printed.text), [4]);
  assert.equal(await ok(...read), "");
  await ok("cursor", "set", ref, "c", "2");
  assert.deepEqual(seqs(await ok(...read)), [3, 4]);
  await ok("cursor", "delete", ref, "c");
  await fails(3, "cursor", "delete", ref, "c");
});

test("workers share the messages of a group", async (url, server) => {
  const ref = `${url}/P`;
  await ok("pool", "create", ref, "--size", "1M");
  const data = Array.from({ length: 20 }, (_, i) => `{"n":${i + 1}}\n`).join("");
  await cli(["feed", ref], { stdin: data });
  const script = `read -r line; echo "$line" >> ${server.dir}/done`;
  const worker = ["work", ref, "--group", "g", "--drain", "--", "sh", "-c", script];
  const outcomes = await Promise.all([cli(worker), cli(worker)]);
  for (const { code, stderr } of outcomes) assert.equal(code, 0, stderr);
  const done = lines(await Deno.readTextFile(`${server.dir}/done`));
  const numbers = done.map((line) => JSON.parse(line).data?.n ?? JSON.parse(line).n);
  assert.deepEqual(numbers.sort((a, b) => a - b), Array.from({ length: 20 }, (_, i) => i + 1));
  const failing = ["--group", "h", "--max-tries", "1", "--drain", "--", "false"];
  await cli(["work", ref, ...failing]);
  const { metrics } = JSON.parse(await ok("pool", "info", `${url}/P_dead`, "--json"));
  assert.equal(metrics.message_count, 20);
});

// A stream could be made with a size and an age limit, and neither be changed nor emptied.
test("a stream is trimmed, and its size and age limit are changed", async (url) => {
  const ref = `${url}/P`;
  await ok("pool", "create", ref, "--size", "1M");
  await ok("feed", ref, Array.from({ length: 10 }, (_, i) => `{"n":${i + 1}}`).join(""));
  const trimmed = async (...args: string[]): Promise<unknown> =>
    JSON.parse(await ok("pool", "trim", ref, ...args, "--json")).trimmed;
  assert.deepEqual(await trimmed("--before", "4"), { dropped: 3, newest: 10, oldest: 4 });
  assert.deepEqual(await trimmed("--before", "1"), { dropped: 0, newest: 10, oldest: 4 });
  assert.deepEqual(await trimmed("--keep", "5"), { dropped: 2, newest: 10, oldest: 6 });
  assert.deepEqual(await trimmed("--older-than", "1d"), { dropped: 0, newest: 10, oldest: 6 });
  const rest = seqs(await ok("follow", ref, "--tail", "99", "--no-follow", "--jsonl"));
  assert.deepEqual(rest, [6, 7, 8, 9, 10]);
  assert.deepEqual(await trimmed("--older-than", "1ms"), { dropped: 5, newest: 10, oldest: null });
  assert.deepEqual(seqs(await ok("feed", ref, '{"n":11}')), [11]);
  assert.deepEqual(await trimmed("--keep", "0"), { dropped: 1, newest: 11, oldest: null });
  await fails(2, "pool", "trim", ref);
  await fails(3, "pool", "trim", `${url}/MISSING`, "--keep", "1");
  await fails(2, "pool", "set", ref);
  await fails(2, "pool", "set", "local", "--size", "1M");
  const set = JSON.parse(
    await ok("pool", "set", ref, "--size", "2M", "--max-age", "30s", "--json"),
  );
  assert.deepEqual(set.set, { file_size: 2 << 20, max_age_ms: 30_000, name: ref });
  const info = JSON.parse(await ok("pool", "info", ref, "--json"));
  assert.equal(info.file_size, 2 << 20);
  await other(url, async (_, jsm) => {
    const { config } = await jsm.streams.info("P");
    assert.deepEqual([config.max_age, config.max_bytes], [30e9, 2 << 20]);
    assert.deepEqual(config.subjects, ["plasmite.P.>"], "the rest is as it was");
  });
  await ok("pool", "set", ref, "--max-age", "none");
  await other(url, async (_, jsm) => {
    assert.equal((await jsm.streams.info("P")).config.max_age, 0);
  });
  await fails(3, "pool", "set", `${url}/MISSING`, "--size", "1M");
});

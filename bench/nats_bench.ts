// deno-lint-ignore-file no-console
/**
 * Pools on NATS against bare programs of the same run:
 * `deno run -A bench/nats_bench.ts [--rounds 3]`. Servers are found as in the tests.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { connect, headers, nuid } from "@nats-io/transport-node";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { CLI } from "../tests/support/paths.ts";
import { NATS_VERSIONS, NatsServer, natsServer, type NatsVersion } from "../tests/support/nats.ts";

const COUNT = 150_000;
const GROUP = 1000;
const WINDOW = 512;
const LINE = JSON.stringify({ n: 123456, text: "x".repeat(170) });
const ROUNDS = Number(Deno.args[Deno.args.indexOf("--rounds") + 1] || 3);

type Connection = Awaited<ReturnType<typeof connect>>;

async function timed(work: () => Promise<void>): Promise<number> {
  const since = performance.now();
  await work();
  return performance.now() - since;
}

/** Runs a program to its end. */
async function program(args: readonly string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", ...args],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
}

/** The bare programs run in processes of their own, as the commands do: `--bare NAME ADDRESS`. */
async function bareProgram(name: string, address: string): Promise<void> {
  const nc = await connect({ servers: address });
  const subject = "plasmite.P.m";
  await (await jetstreamManager(nc)).streams.info("P");
  if (name === "batches") await bareBatches(nc, subject);
  if (name === "window") await bareWindow(nc, subject);
  if (name === "js") await jsPublish(nc, subject);
  if (name === "ordered") await orderedConsumer(nc, "P");
  await nc.close();
}

/** Bare atomic batches: what the fastest program of the same kind does. */
async function bareBatches(nc: Connection, subject: string): Promise<void> {
  const payload = new TextEncoder().encode(LINE);
  const run = nuid.next();
  for (let at = 0; at < COUNT; at += GROUP) {
    const batch = nuid.next();
    for (let i = 1; i <= GROUP; i++) {
      const all = headers();
      all.append("Nats-Msg-Id", `${run}:${at + i}`);
      all.append("Nats-Batch-Id", batch);
      all.append("Nats-Batch-Sequence", String(i));
      if (i < GROUP) nc.publish(subject, payload.slice(), { headers: all });
      else {
        all.append("Nats-Batch-Commit", "1");
        await nc.request(subject, payload, { headers: all, timeout: 10_000 });
      }
    }
  }
}

/** A bare window: one inbox for all acknowledgements. */
async function bareWindow(nc: Connection, subject: string): Promise<void> {
  const payload = new TextEncoder().encode(LINE);
  const inbox = `_INBOX.${nuid.next()}`;
  const run = nuid.next();
  let sent = 0;
  let acked = 0;
  await new Promise<void>((resolve) => {
    const send = (): void => {
      while (sent < COUNT && sent - acked < WINDOW) {
        const all = headers();
        all.append("Nats-Msg-Id", `${run}:${++sent}`);
        nc.publish(subject, payload.slice(), { reply: `${inbox}.${sent}`, headers: all });
      }
    };
    const subscription = nc.subscribe(`${inbox}.*`, {
      callback: (_, message) => {
        JSON.parse(message.string());
        if (++acked === COUNT) {
          subscription.unsubscribe();
          resolve();
        } else send();
      },
    });
    send();
  });
}

async function jsPublish(nc: Connection, subject: string): Promise<void> {
  const js = jetstream(nc);
  const run = nuid.next();
  const payload = new TextEncoder().encode(LINE);
  for (let at = 0; at < COUNT; at += WINDOW) {
    const pending = [];
    for (let i = at; i < Math.min(COUNT, at + WINDOW); i++) {
      pending.push(js.publish(subject, payload, { msgID: `${run}:${i}` }));
    }
    await Promise.all(pending);
  }
}

async function orderedConsumer(nc: Connection, stream: string): Promise<void> {
  const consumer = await jetstream(nc).consumers.get(stream);
  const messages = await consumer.consume({ max_messages: 1000 });
  let count = 0;
  for await (const message of messages) {
    JSON.parse(message.string());
    if (++count === COUNT) break;
  }
}

/** The best of several interleaved rounds, in milliseconds. */
async function best(
  candidates: Readonly<Record<string, () => Promise<void>>>,
  prepare: () => Promise<void>,
): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, work] of Object.entries(candidates)) {
      await prepare();
      found[name] = Math.min(found[name] ?? Infinity, await timed(work));
    }
  }
  return found;
}

const rate = (ms: number): string => `${(COUNT / ms).toFixed(0)} k/s`;
const row = (what: string, measured: string, goal: string, isMet: boolean | null): void => {
  const verdict = isMet === null ? "" : isMet ? "met" : "missed";
  console.log(`| ${what} | ${measured} | ${goal} | ${verdict} |`);
};

async function bench(version: NatsVersion): Promise<void> {
  const server = await NatsServer.start(version);
  const dir = await Deno.makeTempDir();
  const address = server.url.slice("nats://".length);
  const ref = `${server.url}/P`;
  const nc = await connect({ servers: address });
  const jsm = await jetstreamManager(nc);
  const self = fileURLToPath(import.meta.url);
  const bare = (name: string) => () => program([self, "--bare", name, address]);
  const feed = (file: string) => () => program([CLI, "feed", ref, "--file", `${dir}/${file}`]);
  const follow = (count: number) => () =>
    program([CLI, "follow", ref, "--tail", String(count), "--no-follow", "--jsonl"]);
  const path = version === "2.9" ? "window" : "batches";
  try {
    await Deno.writeTextFile(`${dir}/all`, `${LINE}\n`.repeat(COUNT));
    await Deno.writeTextFile(`${dir}/one`, `${LINE}\n`);
    await program([CLI, "pool", "create", ref, "--size", "512M"]);
    const writing = await best({
      none: bare("none"),
      bare: bare(path),
      js: bare("js"),
      one: feed("one"),
      feed: feed("all"),
    }, async () => void await jsm.streams.purge("P"));
    const reading = await best({
      ordered: bare("ordered"),
      one: follow(1),
      follow: follow(COUNT),
      info: () => program([CLI, "pool", "info", ref]),
      start: () => program([fileURLToPath(new URL("./nats_start.ts", import.meta.url)), address]),
    }, () => Promise.resolve());
    report(version, path, writing, reading);
  } finally {
    await nc.close();
    await Deno.remove(dir, { recursive: true });
    await server.end();
  }
}

type Times = Readonly<Record<string, number>>;

/** Prints a table; start-up is taken off where messages are counted. */
function report(version: NatsVersion, path: string, writing: Times, reading: Times): void {
  const of = (times: Times, name: string, base: number | undefined): number =>
    (times[name] ?? 0) - (base ?? 0);
  console.log(`\n### Server ${version}\n\n| What | Measured | Goal | |\n| --- | --- | --- | --- |`);
  const bare = of(writing, "bare", writing["none"]);
  const js = of(writing, "js", writing["none"]);
  const fed = of(writing, "feed", writing["one"]);
  row(`yardstick: bare ${path}`, rate(bare), "", null);
  row("yardstick: `js.publish` with ids", rate(js), "", null);
  const times = `${(bare / fed).toFixed(2)} × bare, ${(js / fed).toFixed(2)} × js.publish`;
  const isMet = fed <= bare / 0.7 && fed <= js / 2;
  row("`feed`", `${rate(fed)} = ${times}`, "≥ 0.7 ×, ≥ 2 ×", isMet);
  const ordered = of(reading, "ordered", writing["none"]);
  const read = of(reading, "follow", reading["one"]);
  row("yardstick: bare ordered consumer", rate(ordered), "", null);
  const ratio = (ordered / read).toFixed(2);
  row("`follow`", `${rate(read)} = ${ratio} ×`, "≥ 0.7 ×", read <= ordered / 0.7);
  const none = reading["start"] ?? 0;
  const info = reading["info"] ?? 0;
  row("yardstick: bare script, both packages, stream info", `${none.toFixed(0)} ms`, "", null);
  const start = `${info.toFixed(0)} ms = ${(info / none).toFixed(2)} ×`;
  row("`pool info`", start, "≤ 1.5 ×", info <= 1.5 * none);
}

const bareAt = Deno.args.indexOf("--bare");
if (bareAt >= 0) await bareProgram(Deno.args[bareAt + 1] ?? "", Deno.args[bareAt + 2] ?? "");
else {
  for (const version of NATS_VERSIONS) {
    if (natsServer(version) === undefined) console.log(`\nServer ${version} is not installed.`);
    else await bench(version);
  }
}

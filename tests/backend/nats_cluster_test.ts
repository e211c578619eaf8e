import "../support/environment.ts";
import assert from "node:assert/strict";
import { NatsBackend } from "../../lib/backend/nats.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { cli, inTemp, spawnCli } from "../cli/cli_util.ts";
import { NatsCluster, type NatsVersion, testEachNats } from "../support/nats.ts";
import { patiently, pause, until } from "../support/patience.ts";
import { put } from "./suite.ts";

const COUNT = 20_000;

const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");
const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);
const records = (from: number, to: number): string =>
  numbers(from, to).map((n) => `{"n":${n}}\n`).join("");

/** Whether an error may pass while servers start and choose leaders. */
function mayPass(error: unknown): boolean {
  return PlasmiteError.is(error) && /^(Busy|Io|Usage)$/.test(error.kindName);
}

/** A stream of three replicas in a cluster that all tests of a version share. */
interface Setting {
  readonly cluster: NatsCluster;
  readonly version: NatsVersion;
  readonly name: string;
  /** The stream, with the first server in front, or another. */
  ref(first?: number): string;
  /** The server that leads the stream. */
  leader(): Promise<string>;
  /** The newest number of the stream. */
  newest(): Promise<number>;
  readonly dir: string;
}

const clusters = new Map<NatsVersion, Promise<NatsCluster>>();

function clusterOf(version: NatsVersion): Promise<NatsCluster> {
  const cluster = clusters.get(version) ?? NatsCluster.start(version);
  clusters.set(version, cluster);
  return cluster;
}

Deno.test.afterAll(async () => {
  for (const starting of clusters.values()) await starting.then((cluster) => cluster.end());
});

/** Removes a stream; the answer to an earlier attempt may have been lost. */
async function removed(backend: NatsBackend, name: string): Promise<void> {
  try {
    await backend.remove(name);
  } catch (error) {
    if (!PlasmiteError.is(error, ErrorKind.NotFound)) throw error;
  }
}

let streams = 0;

function test(title: string, run: (setting: Setting) => Promise<void>): void {
  testEachNats(`nats % cluster: ${title}`, (version) =>
    inTemp(async (dir) => {
      const cluster = await clusterOf(version);
      const name = `S${++streams}`;
      const asked = async <T>(work: (backend: NatsBackend) => Promise<T>): Promise<T> => {
        const backend = new NatsBackend(cluster.url());
        try {
          return await patiently(() => work(backend), mayPass);
        } finally {
          await backend.close();
        }
      };
      try {
        await asked((backend) => backend.create(name, { sizeBytes: 64 << 20, replicas: 3 }));
        await cluster.ready(name);
        await run({
          cluster,
          version,
          name,
          dir,
          ref: (first) => `${cluster.url(first)}/${name}`,
          leader: () =>
            asked(async (backend) => {
              const { stream } = await backend.info(name);
              if (stream?.leader) return stream.leader;
              throw new PlasmiteError("Busy", "no leader yet");
            }),
          newest: () =>
            asked(async (backend) => Number((await backend.info(name)).bounds.newestSeq ?? 0n)),
        });
      } finally {
        await cluster.restart();
        await cluster.ready();
        await asked((backend) => removed(backend, name));
      }
    }));
}

/** Waits until the stream has so many messages. */
async function stored({ newest }: Setting, count: number): Promise<void> {
  await until(async () => await newest() >= count, `${count} messages were never stored`);
}

/** All messages of the stream. */
async function all(
  { ref }: Setting,
): Promise<{ readonly seq: number; readonly data: { readonly n: number } }[]> {
  const read = ["--tail", "99999", "--no-follow", "--jsonl"];
  const { code, stderr, stdout } = await cli(["follow", ref(), ...read]);
  assert.equal(code, 0, stderr);
  return lines(stdout).map((line) => JSON.parse(line));
}

const piped = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;

// The messages of a batch whose answer was lost with a server were stored twice, or not at all.
test("feed and follow survive the leader and the server they are connected to", async (setting) => {
  const { cluster, leader, ref, version } = setting;
  const first = await leader();
  const other = (Number(first.slice(1)) + 1) % 3;
  const one = await cli(["feed", ref(), '{"n":0}']);
  assert.equal(one.code, 0, one.stderr);
  const following = spawnCli(["follow", ref(other), "--jsonl", "--tail", "1"], {
    stdout: "piped",
  });
  const told: number[] = [];
  const reading = (async () => {
    let text = "";
    for await (const piece of following.stdout.pipeThrough(new TextDecoderStream())) {
      text += piece;
      const end = text.lastIndexOf("\n") + 1;
      for (const line of lines(text.slice(0, end))) told.push(JSON.parse(line).seq);
      text = text.slice(end);
    }
  })();
  await until(() => told.length === 1, "the follower does not begin");
  const feeding = spawnCli(["feed", ref(other), "--retry", "9"], piped);
  const outcome = feeding.output();
  const input = feeding.stdin.getWriter();
  const write = (from: number, to: number): Promise<void> =>
    input.write(new TextEncoder().encode(records(from, to)));
  await write(1, 8_000);
  await stored(setting, 1_000);
  await cluster.named(first).kill();
  await write(8_001, 14_000);
  await stored(setting, 9_000); // Under another leader.
  await cluster.restart();
  await cluster.ready(setting.name);
  await cluster.named(`n${other}`).kill();
  await write(14_001, COUNT);
  await input.close();
  const { code, stderr, stdout } = await outcome;
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  await cluster.restart();
  const newest = await setting.newest();
  await until(() => told.length >= newest, () => `${told.length} of ${newest} were followed`);
  following.kill("SIGTERM");
  await following.status;
  await reading;
  const messages = await all(setting);
  const got = messages.map(({ data }) => data.n);
  assert.equal(new Set(got).size, COUNT + 1, "none twice");
  assert.equal(got.length, COUNT + 1);
  // Resending single messages after a failover may invert their order; batches never do.
  if (version !== "2.9") assert.deepEqual(got, numbers(0, COUNT));
  const byNumber = new Map(messages.map(({ data, seq }) => [data.n, seq]));
  const receipts = lines(new TextDecoder().decode(stdout)).map((line) => JSON.parse(line).seq);
  assert.deepEqual(receipts, numbers(1, COUNT).map((n) => byNumber.get(n)));
  assert.deepEqual(told, messages.map(({ seq }) => seq));
});

// A Raspberry Pi loses power while the cluster loses a server.
test("copy survives the leader and its own end, whole and in order", async (setting) => {
  const { cluster, dir, leader, ref } = setting;
  const local = ["--dir", dir];
  const fed = await cli([...local, "feed", "ring", "--create-size", "32M"], {
    stdin: records(1, COUNT),
  });
  assert.equal(fed.code, 0, fed.stderr);
  for (const [at, isLeaderKilled] of [[500, false], [1_500, true], [6_000, false]] as const) {
    const child = spawnCli([...local, "copy", "ring", ref(), "--follow"]);
    await stored(setting, at);
    if (isLeaderKilled) await cluster.named(await leader()).kill();
    child.kill("SIGKILL");
    await child.status;
    await cluster.restart();
    await cluster.ready(setting.name);
  }
  await patiently(async () => {
    const { code, stderr } = await cli([...local, "copy", "ring", ref()]);
    if (code !== 0) throw new PlasmiteError(code === 5 || code === 8 ? "Busy" : "Internal", stderr);
  }, mayPass);
  assert.deepEqual((await all(setting)).map(({ data }) => data.n), numbers(1, COUNT));
});

// Work that was under way in the server that died was never done, or held the group for ever.
test("workers survive the leader and the server they are connected to", async (setting) => {
  const { cluster, dir, leader, ref } = setting;
  const count = 120;
  const fed = await cli(["feed", ref()], { stdin: records(1, count) });
  assert.equal(fed.code, 0, fed.stderr);
  const first = await leader();
  const other = (Number(first.slice(1)) + 1) % 3;
  const script = `cat >> '${dir}/done'; echo >> '${dir}/done'`;
  const work = ["work", ref(other), "--group", "g", "--ack-wait", "10s", "--drain"];
  const worker = spawnCli([...work, "--", "sh", "-c", script], { stderr: "piped" });
  const outcome = worker.output();
  const done = async (): Promise<Set<number>> => {
    const text = await Deno.readTextFile(`${dir}/done`).catch(() => "");
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    return new Set(lines(whole).map((line) => JSON.parse(line)).map(({ data, n }) => data?.n ?? n));
  };
  await until(async () => (await done()).size >= 10, "no work was done");
  await cluster.named(first).kill();
  await until(async () => (await done()).size >= 40, "no work was done under the next leader");
  await cluster.restart();
  await cluster.ready(setting.name);
  await cluster.named(`n${other}`).kill();
  const { code, stderr } = await outcome;
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  assert.deepEqual([...await done()].sort((a, b) => a - b), numbers(1, count));
});

test("a stream of three is made right after a server came back, or told to be busy", async (setting) => {
  const { cluster, leader, name } = setting;
  await cluster.named(await leader()).kill();
  await cluster.restart();
  const made: string[] = [];
  for (let i = 0; i < 5; i++) {
    const backend = new NatsBackend(cluster.url());
    try {
      await backend.create(`${name}_${i}`, { sizeBytes: 1 << 20, replicas: 3 });
      made.push(`${name}_${i}`);
    } catch (error) {
      assert(PlasmiteError.is(error));
      assert.match(error.kindName, /^(Busy|Io)$/, `${error.message} ${error.causes}`);
    } finally {
      await backend.close();
    }
  }
  await cluster.ready();
  const backend = new NatsBackend(cluster.url());
  for (const one of made) await patiently(() => removed(backend, one), mayPass);
  await backend.close();
});

test("a stream without a majority is busy, and comes back", async ({ cluster, leader, name }) => {
  const alive = (Number((await leader()).slice(1)) + 1) % 3;
  const dead = cluster.servers.filter((_, i) => i !== alive);
  const backend = new NatsBackend(cluster.url(alive));
  const pool = await patiently(() => backend.open(name, { write: true }), mayPass);
  for (const server of dead) await server.kill();
  const waiting = put(pool, [{ n: 1 }]).then(() => "stored", (error) => error);
  await pause(500); // It has been sent, most likely.
  await cluster.restart();
  const result = await waiting;
  if (result !== "stored") {
    assert(PlasmiteError.is(result));
    assert.match(result.kindName, /^(Busy|Io)$/);
    await patiently(() => put(pool, [{ n: 1 }]), mayPass);
  }
  assert.equal((await patiently(() => Promise.resolve(pool.bounds()), mayPass)).newest, 1n);
  await pool.close();
  await backend.close();
});

/**
 * Real NATS servers for tests: each on free ports, with a store of its own.
 *
 * @module
 */

import "./environment.ts";
import { delimiter } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { until } from "./patience.ts";
import { freePort } from "./ports.ts";

/** A version of the server that is tested. */
export type NatsVersion = "2.9" | "2.15";

/** The versions that are tested. */
export const NATS_VERSIONS: readonly NatsVersion[] = ["2.9", "2.15"];

/** Where servers may be besides PATH: Debian's, and what CONTRIBUTING.md says. */
const BESIDES = ["/opt/nats/bin", "/usr/sbin"];

function versionOf(path: string): string | undefined {
  try {
    const { stdout } = new Deno.Command(path, { args: ["--version"], stderr: "null" }).outputSync();
    return /v(\d+\.\d+)\./.exec(new TextDecoder().decode(stdout))?.[1];
  } catch {
    return undefined; // It is not there, or not a program.
  }
}

const found = new Map<NatsVersion, string>();

function search(): void {
  const dirs = [...(Deno.env.get("PATH") ?? "").split(delimiter), ...BESIDES];
  const given = NATS_VERSIONS.map((version) =>
    Deno.env.get(`PLASMITE_NATS_SERVER_${version.replace(".", "_")}`)
  );
  const names = ["nats-server", ...NATS_VERSIONS.map((version) => `nats-server-${version}`)];
  const paths = [
    ...[...given, Deno.env.get("PLASMITE_NATS_SERVER")].filter((path) => path !== undefined),
    ...dirs.flatMap((dir) => names.map((name) => `${dir}/${name}`)),
  ];
  for (const path of new Set(paths)) {
    if (found.size === NATS_VERSIONS.length) return;
    const version = NATS_VERSIONS.find((one) => one === versionOf(path));
    if (version !== undefined && !found.has(version)) found.set(version, path);
  }
}
search();

/** The server of a version; undefined where there is none. */
export function natsServer(version: NatsVersion): string | undefined {
  return found.get(version);
}

/** The newest server that is here, for tests that need any. */
export const ANY_NATS: NatsVersion | undefined = NATS_VERSIONS.findLast((one) => found.has(one));

/** A running server. */
export class NatsServer {
  readonly port: number;
  readonly dir: string;
  readonly version: NatsVersion;
  #child: Deno.ChildProcess | null = null;

  private constructor(version: NatsVersion, port: number, dir: string) {
    this.version = version;
    this.port = port;
    this.dir = dir;
  }

  /** Its address. */
  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** The process. */
  get pid(): number {
    return this.#running().pid;
  }

  #running(): Deno.ChildProcess {
    if (this.#child === null) throw new Error("the server does not run");
    return this.#child;
  }

  /**
   * Starts a server and waits until it answers.
   *
   * @param more further lines of its configuration
   */
  static async start(version: NatsVersion, more = "", jetstream = true): Promise<NatsServer> {
    const dir = await Deno.makeTempDir({ prefix: "plasmite-nats-" });
    const server = new NatsServer(version, freePort(), dir);
    const store = jetstream ? `jetstream { store_dir: "${dir}/store", max_file: 8GB }` : "";
    const config = `listen: "127.0.0.1:${server.port}"\n${store}\n${more}\n`;
    await Deno.writeTextFile(`${dir}/server.conf`, config);
    try {
      await server.restart();
    } catch (error) {
      await server.end();
      throw error;
    }
    return server;
  }

  /** Ends the process at once, as a crash does. */
  async kill(): Promise<void> {
    const child = this.#running();
    this.#child = null;
    child.kill("SIGKILL");
    await child.status;
  }

  /** Whether it has not been killed. */
  get isRunning(): boolean {
    return this.#child !== null;
  }

  /** Stops the process without ending it. */
  pause(): void {
    this.#running().kill("SIGSTOP");
  }

  /** Goes on after {@linkcode NatsServer.pause}. */
  proceed(): void {
    this.#running().kill("SIGCONT");
  }

  /** Starts it again with the same store. */
  async restart(): Promise<void> {
    const child = spawn(this.version, this.dir);
    this.#child = child;
    const ended = child.status.then(({ code }) => {
      if (this.#child === child) throw new Error(`nats-server ended with ${code}:\n${this.log()}`);
    });
    await Promise.race([answers(this.port), ended]);
    ended.catch(() => {}); // From now on the requests to it fail.
  }

  /** The end of what it has logged. */
  log(): string {
    return Deno.readTextFileSync(`${this.dir}/log`).split("\n").slice(-30).join("\n");
  }

  /** Ends it and removes its store. */
  async end(): Promise<void> {
    if (this.#child !== null) {
      try {
        await this.kill();
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // It has ended already.
      }
    }
    await Deno.remove(this.dir, { recursive: true });
  }
}

function spawn(version: NatsVersion, dir: string): Deno.ChildProcess {
  const path = natsServer(version);
  if (path === undefined) throw new Error(`no nats-server ${version}`);
  const args = ["-c", `${dir}/server.conf`, "-l", `${dir}/log`];
  return new Deno.Command(path, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
}

/** Waits until something accepts connections. */
export async function answers(port: number): Promise<void> {
  await until(async () => {
    try {
      (await Deno.connect({ port, hostname: "127.0.0.1" })).close();
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionRefused) return false;
      throw error;
    }
  }, `nobody listens on port ${port}`);
}

/** Three servers that know one another. */
export class NatsCluster {
  readonly servers: readonly NatsServer[];

  private constructor(servers: readonly NatsServer[]) {
    this.servers = servers;
  }

  /**
   * Starts the servers and waits until they have chosen a leader, which needs all three at the first
   * start.
   */
  static async start(version: NatsVersion): Promise<NatsCluster> {
    const ports = [freePort(), freePort(), freePort()];
    const routes = ports.map((port) => `nats-route://127.0.0.1:${port}`).join(", ");
    const starting = await Promise.allSettled(ports.map((port, i) =>
      NatsServer.start(
        version,
        `server_name: n${i}\n` +
          `cluster { name: c, listen: "127.0.0.1:${port}", routes: [${routes}] }`,
      )
    ));
    const cluster = new NatsCluster(
      starting.flatMap((one) => one.status === "fulfilled" ? [one.value] : []),
    );
    try {
      for (const one of starting) if (one.status === "rejected") throw one.reason;
      await cluster.ready();
    } catch (error) {
      await cluster.end();
      throw error;
    }
    return cluster;
  }

  /** A reference to all of them, `first` in front. */
  url(first = 0): string {
    const order = [first, ...[0, 1, 2].filter((i) => i !== first)];
    return `nats://${order.map((i) => `127.0.0.1:${this.servers[i]?.port}`).join(",")}`;
  }

  /** A server by its name, `n0` to `n2`. */
  named(name: string): NatsServer {
    const server = this.servers[Number(name.slice(1))];
    if (server === undefined) throw new Error(`no server ${name}`);
    return server;
  }

  /**
   * Waits until JetStream answers over each of the servers that run; with a stream, until all its
   * replicas are there and current.
   */
  async ready(stream?: string): Promise<void> {
    const running = this.servers.filter(({ isRunning }) => isRunning);
    await Promise.all(running.map(({ port }) => this.#ready(port, stream)));
  }

  async #ready(port: number, stream: string | undefined): Promise<void> {
    const nc = await connectTo(port);
    const subject = stream === undefined ? "INFO" : `STREAM.INFO.${stream}`;
    const isReady = async (): Promise<boolean> => {
      try {
        // Nobody answers before there is a leader: ask again soon.
        const answer = (await nc.request(`$JS.API.${subject}`, "", { timeout: 250 }))
          .json<ClusterAnswer>();
        if (answer.error !== undefined) return false;
        if (stream === undefined) return true;
        const { leader = "", replicas = [] } = answer.cluster ?? {};
        return leader !== "" && replicas.length === 2 &&
          replicas.every(({ current, offline }) => current === true && offline !== true);
      } catch {
        return false; // Not yet.
      }
    };
    try {
      await until(isReady, () => this.servers.map((server) => server.log()).join("\n\n"));
    } finally {
      await nc.close();
    }
  }

  /** Starts those again that were killed. */
  async restart(): Promise<void> {
    await Promise.all(
      this.servers.filter(({ isRunning }) => !isRunning).map((server) => server.restart()),
    );
  }

  /** Ends all of them. */
  async end(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.end()));
  }
}

/** A connection to a server here, which waits for it. */
function connectTo(port: number): Promise<NatsConnection> {
  const options = { maxReconnectAttempts: -1, reconnectTimeWait: 50, waitOnFirstConnect: true };
  return connect({ servers: `127.0.0.1:${port}`, ...options });
}

/** What is read of the answers about a cluster and its streams. */
interface ClusterAnswer {
  readonly error?: unknown;
  readonly cluster?: {
    readonly leader?: string;
    readonly replicas?: readonly { readonly current?: boolean; readonly offline?: boolean }[];
  };
}

/**
 * Registers a test for each version. Both run at the same time, because they mostly wait; so they
 * must not share what they change.
 *
 * @param name with `%` where the version belongs
 */
export function testEachNats(
  name: string,
  run: (version: NatsVersion) => Promise<void>,
  options: Omit<Deno.TestDefinition, "name" | "fn" | "ignore"> = {},
): void {
  const outcomes = new Map<NatsVersion, Promise<() => void>>();
  const outcome = (version: NatsVersion): Promise<() => void> => {
    const known = outcomes.get(version);
    if (known !== undefined) return known;
    const started = run(version).then(() => () => {}, (error) => () => {
      throw error;
    });
    outcomes.set(version, started);
    return started;
  };
  for (const version of NATS_VERSIONS) {
    Deno.test({
      name: name.replace("%", version),
      ignore: natsServer(version) === undefined,
      // What the other one has begun goes on.
      sanitizeOps: false,
      sanitizeResources: false,
      ...options,
      fn: async () => {
        for (const one of NATS_VERSIONS) if (natsServer(one) !== undefined) void outcome(one);
        (await outcome(version))();
      },
    });
  }
}

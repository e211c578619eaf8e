/**
 * Real NATS servers for tests: each on free ports, with a store of its own.
 *
 * @module
 */

import "./environment.ts";
import { delimiter } from "node:path";

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
  #config: string;
  #child: Deno.ChildProcess;

  private constructor(
    version: NatsVersion,
    port: number,
    dir: string,
    config: string,
    child: Deno.ChildProcess,
  ) {
    this.version = version;
    this.port = port;
    this.dir = dir;
    this.#config = config;
    this.#child = child;
  }

  /** Its address. */
  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** The process. */
  get pid(): number {
    return this.#child.pid;
  }

  /**
   * Starts a server and waits until it answers.
   *
   * @param more further lines of its configuration
   */
  static async start(version: NatsVersion, more = "", jetstream = true): Promise<NatsServer> {
    const dir = await Deno.makeTempDir({ prefix: "plasmite-nats-" });
    const port = freePort();
    const config = `${dir}/server.conf`;
    const store = jetstream ? `jetstream { store_dir: "${dir}/store", max_file: 8GB }` : "";
    await Deno.writeTextFile(config, `listen: "127.0.0.1:${port}"\n${store}\n${more}\n`);
    const server = new NatsServer(version, port, dir, config, spawn(version, config));
    await answers(port);
    return server;
  }

  /** Ends the process at once, as a crash does. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }

  /** Stops the process without ending it. */
  pause(): void {
    this.#child.kill("SIGSTOP");
  }

  /** Goes on after {@linkcode NatsServer.pause}. */
  proceed(): void {
    this.#child.kill("SIGCONT");
  }

  /** Starts it again with the same store. */
  async restart(): Promise<void> {
    this.#child = spawn(this.version, this.#config);
    await answers(this.port);
  }

  /** Ends it and removes its store. */
  async end(): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // It has ended already.
    }
    await this.#child.status;
    await Deno.remove(this.dir, { recursive: true });
  }
}

function spawn(version: NatsVersion, config: string): Deno.ChildProcess {
  const path = natsServer(version);
  if (path === undefined) throw new Error(`no nats-server ${version}`);
  const args = [
    "-c",
    config,
    ...(Deno.env.get("PLASMITE_NATS_LOG") ? ["-l", `${config}.log`] : []),
  ];
  return new Deno.Command(path, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
}

/** A port that nobody uses at the moment. */
export function freePort(): number {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr;
  listener.close();
  return port;
}

/** Waits until something accepts connections. */
export async function answers(port: number): Promise<void> {
  for (const until = performance.now() + 20_000;;) {
    try {
      (await Deno.connect({ port, hostname: "127.0.0.1" })).close();
      return;
    } catch (error) {
      if (performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Three servers that know one another. */
export class NatsCluster {
  readonly servers: readonly NatsServer[];

  private constructor(servers: readonly NatsServer[]) {
    this.servers = servers;
  }

  /** Starts the servers; they may need some seconds to choose a leader. */
  static async start(version: NatsVersion): Promise<NatsCluster> {
    const ports = [freePort(), freePort(), freePort()];
    const routes = ports.map((port) => `nats-route://127.0.0.1:${port}`).join(", ");
    const servers = await Promise.all(ports.map((port, i) =>
      NatsServer.start(
        version,
        `server_name: n${i}\n` +
          `cluster { name: c, listen: "127.0.0.1:${port}", routes: [${routes}] }`,
      )
    ));
    return new NatsCluster(servers);
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

  /** Ends all of them. */
  async end(): Promise<void> {
    for (const server of this.servers) await server.end();
  }
}

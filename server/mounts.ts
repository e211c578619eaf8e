/**
 * Streams of NATS beside the pools of the directory: `serve --mount NAME=nats://host/STREAM`
 * (docs/spec/jetstream.md 4). The code of NATS is loaded with the first use of one.
 *
 * @module
 */

import type { Coordination } from "../lib/backend/coordination.ts";
import { type PoolInfo, unreadablePool } from "../lib/backend/local/info.ts";
import { namedList } from "../lib/backend/named.ts";
import { poolName, poolPath } from "../lib/backend/refs.ts";
import type { AccessOptions, PoolRef } from "../lib/backend/resolve.ts";
import type {
  AppendRequest,
  Backend,
  Choose,
  ListOptions,
  NewPool,
  OpenOptions,
  PoolHandle,
  Selection,
  StoredFrame,
  Walk,
} from "../lib/backend/types.ts";
import { nameProblem } from "../lib/client/names.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import type { FrameBatch } from "../lib/pool/batch.ts";
import type { Limits } from "../lib/pool/layout.ts";
import { startTimer } from "../lib/timers.ts";
import type { Awaitable, Bounds } from "../lib/types.ts";
import { HttpError } from "./errors.ts";

/** How long a list waits for a mount, in milliseconds. */
const LIST_MS = 1_000;

/** The streams to serve besides, and how to reach them. */
export interface MountFlags {
  /** `--mount`: each `NAME=nats://host/STREAM`. */
  readonly mounts?: readonly string[];
  /** The credentials of `--mount-creds` and the other options. */
  readonly mountAccess?: AccessOptions;
}

/** Streams by the names that clients know. */
export type Mounts = ReadonlyMap<string, Mount>;

function usage(message: string, hint: string): PlasmiteError {
  return new PlasmiteError("Usage", message, { hint });
}

/**
 * Reads the options; nothing is sent.
 *
 * @param dir the directory of the other pools
 * @throws {PlasmiteError} Usage
 */
export async function mountsOf(
  { mounts = [], mountAccess = {} }: MountFlags,
  dir: string,
): Promise<Mounts> {
  const found = new Map<string, Mount>();
  if (mounts.length === 0) return found;
  const { natsAddress, poolRef } = await import("../lib/backend/nats/ref.ts");
  const { NatsAccess } = await import("../lib/backend/nats/access.ts");
  for (const text of mounts) {
    const [, name = "", ref = ""] = /^([^=]*)=(nats(?:\+tls)?:\/\/.*)$/s.exec(text) ?? [];
    if (name === "" || ref === "") {
      // The text is not repeated: it may hold a password.
      throw usage("Invalid --mount", "Use NAME=nats://host:port/STREAM.");
    }
    const problem = nameProblem(name);
    if (problem !== undefined) throw usage(problem.message, problem.hint);
    const pool = poolRef(ref);
    new NatsAccess(natsAddress(pool.path.slice(0, -pool.name.length - 1)), mountAccess);
    const bare = poolName(name);
    if (found.has(bare)) throw usage(`Two mounts have the name ${name}`, "Use different names.");
    if (exists(poolPath(name, dir))) {
      throw usage(`A local pool has the name ${name}`, "Use another name for the mount.");
    }
    found.set(bare, new Mount(bare, pool, mountAccess));
  }
  return found;
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** One stream. */
export class Mount {
  readonly name: string;
  readonly #ref: PoolRef;
  readonly #access: AccessOptions;
  #backend: Promise<Backend> | null = null;

  /** Prepares a mount; nothing is sent. */
  constructor(name: string, ref: PoolRef, access: AccessOptions) {
    this.name = name;
    this.#ref = ref;
    this.#access = access;
  }

  async #connect(): Promise<Backend> {
    const access = { ...this.#access, clientName: "plasmite serve" };
    return await this.#ref.connect({ server: () => access });
  }

  /** Does something with the backend. Throws Busy while it cannot be reached. */
  async use<T>(work: (backend: Backend, name: string) => Awaitable<T>): Promise<T> {
    const backend = this.#backend ??= this.#connect();
    return await this.reach(async () => await work(await backend, this.#ref.name));
  }

  /** Does some work. Throws Busy with status 503 where the servers cannot be reached. */
  async reach<T>(work: () => Awaitable<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isAway(error)) throw error;
      throw new HttpError(503, "Busy", `Pool ${this.name} cannot be reached at the moment`, {
        path: this.name,
        hint: "The NATS server does not answer. Try again in a moment.",
        headers: [["retry-after", "1"]],
      });
    }
  }

  /** Describes the pool; one that cannot be read in time has an error. */
  async entry(): Promise<PoolInfo> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = startTimer(() => reject(silent(this.name)), LIST_MS);
    });
    try {
      const info = this.use((backend, name) => backend.info(name));
      return { ...await Promise.race([info, late]), name: this.name };
    } catch (error) {
      if (!PlasmiteError.is(error)) throw error;
      return unreadablePool(this.name, this.#ref.path, error);
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    const backend = this.#backend;
    this.#backend = null;
    await (await backend)?.close();
  }
}

function silent(name: string): PlasmiteError {
  return new PlasmiteError("Busy", `Pool ${name} does not answer`, {
    hint: "The NATS server may be away. Try again in a moment.",
  });
}

function isAway(error: unknown): boolean {
  return PlasmiteError.is(error) && !(error instanceof HttpError) &&
    (error.kind === ErrorKind.Io || error.kind === ErrorKind.Busy);
}

/** A stream that is open. */
class MountedPool implements PoolHandle {
  readonly name: string;
  readonly path: string;
  readonly limits: Limits;
  readonly #mount: Mount;
  readonly #pool: PoolHandle;

  constructor(mount: Mount, pool: PoolHandle) {
    this.name = mount.name;
    this.path = pool.path;
    this.limits = pool.limits;
    this.#mount = mount;
    this.#pool = pool;
  }

  bounds(): Promise<Bounds> {
    return this.#mount.reach(() => this.#pool.bounds());
  }

  async info(): Promise<PoolInfo> {
    return { ...await this.#mount.reach(() => this.#pool.info()), name: this.name };
  }

  get(seq: bigint, exact?: boolean): Promise<StoredFrame | null> {
    return this.#mount.reach(() => this.#pool.get(seq, exact));
  }

  append(batch: FrameBatch, request: AppendRequest): Promise<void> {
    // Whoever waits here holds a place that others need.
    return this.#mount.reach(() => this.#pool.append(batch, { ...request, lockMs: 0 }));
  }

  select(selection: Selection): Promise<Walk> {
    return this.#mount.reach(() => this.#pool.select(selection));
  }

  coordinate(): Awaitable<Coordination> {
    return this.#pool.coordinate();
  }

  close(): Awaitable<void> {
    return this.#pool.close();
  }
}

/** The pools of a directory, and mounted streams. */
export class MountedBackend implements Backend {
  readonly place: string;
  readonly #local: Backend;
  readonly #mounts: Mounts;

  /** Owns neither the backend nor the mounts. */
  constructor(local: Backend, mounts: Mounts) {
    this.place = local.place;
    this.#local = local;
    this.#mounts = mounts;
  }

  #mount(name: string): Mount | undefined {
    return this.#mounts.get(poolName(name));
  }

  features(): ReturnType<Backend["features"]> {
    return this.#local.features();
  }

  open(name: string, options?: OpenOptions): Awaitable<PoolHandle> {
    const mount = this.#mount(name);
    if (mount === undefined) return this.#local.open(name, options);
    return this.#open(mount, options);
  }

  async #open(mount: Mount, { write = false }: OpenOptions = {}): Promise<PoolHandle> {
    return new MountedPool(
      mount,
      await mount.use((backend, name) => backend.open(name, { write })),
    );
  }

  create(name: string, options?: NewPool): Awaitable<PoolInfo> {
    if (this.#mount(name) === undefined) return this.#local.create(name, options);
    throw new PlasmiteError("AlreadyExists", "pool already exists", {
      path: name,
      hint: "Choose a different name: this one is a mounted stream.",
    });
  }

  async list(
    choose: Choose = (names) => names,
    options?: ListOptions,
  ): Promise<readonly PoolInfo[]> {
    const mounted = [...this.#mounts.values()];
    let chosen: ReadonlySet<string> = new Set();
    const local = await this.#local.list((names) => {
      chosen = new Set(choose([...names, ...mounted.map(({ name }) => name)].sort()));
      return names.filter((name) => chosen.has(name));
    }, options);
    const wanted = mounted.filter(({ name }) => chosen.has(name));
    const entries = await Promise.all(wanted.map((mount) => mount.entry()));
    return namedList([...local, ...entries]);
  }

  async names(): Promise<readonly string[]> {
    return [...await this.#local.names(), ...this.#mounts.keys()].sort();
  }

  async info(name: string): Promise<PoolInfo> {
    const mount = this.#mount(name);
    if (mount === undefined) return await this.#local.info(name);
    const info = await mount.use((backend, stream) => backend.info(stream));
    return { ...info, name: mount.name };
  }

  async remove(name: string): Promise<void> {
    if (this.#mount(name) === undefined) return await this.#local.remove(name);
    throw new PlasmiteError("Permission", "A mounted stream cannot be deleted here", {
      path: name,
      hint: "Delete it on the NATS server, or restart this server without the mount.",
    });
  }

  close(): Awaitable<void> {}
}

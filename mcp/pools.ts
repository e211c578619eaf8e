/**
 * The pools of a backend for one caller: by names, never by paths, and only as the grant of the
 * caller allows. Tools and resources access pools only through this class.
 *
 * @module
 */

import { mayUse } from "../lib/grant.ts";
import type { PoolInfo } from "../lib/backend/local/info.ts";
import { poolName } from "../lib/backend/refs.ts";
import type { Backend, Choose, NewPool, OpenOptions, PoolHandle } from "../lib/backend/types.ts";
import { nameProblem } from "../lib/client/names.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import type { Grant, Need } from "../lib/types.ts";

const DOING: Readonly<Record<Need, string>> = {
  read: "read",
  append: "append to",
  admin: "create or delete",
};

/** Options of {@linkcode GrantedPools}. */
export interface PoolsOptions {
  /** What the caller may do. */
  readonly grant: Grant;
  /** Whether to show only file names, for clients on other machines. */
  readonly hidePaths?: boolean;
}

/** The pools of a backend for one caller. */
export class GrantedPools implements Backend {
  readonly place: string;
  /** What the caller may do. */
  readonly grant: Grant;
  readonly #backend: Backend;
  readonly #hidePaths: boolean;

  /** Does not close the backend. */
  constructor(backend: Backend, { grant, hidePaths = false }: PoolsOptions) {
    this.place = backend.place;
    this.grant = grant;
    this.#backend = backend;
    this.#hidePaths = hidePaths;
  }

  /** The part of a path that the caller may see. */
  shown(path: string): string {
    return this.#hidePaths ? path.slice(path.lastIndexOf("/") + 1) : path;
  }

  /** Whether the caller has a right on a pool. */
  can(need: Need, name: string): boolean {
    return mayUse(this.grant, need, poolName(name));
  }

  /**
   * Checks a name and a right, before any pool is accessed.
   *
   * @throws {PlasmiteError} Usage, Permission
   */
  check(need: Need, name: string): void {
    const problem = nameProblem(name);
    if (problem !== undefined) {
      throw new PlasmiteError("Usage", problem.message, { hint: problem.hint });
    }
    if (this.can(need, name)) return;
    throw new PlasmiteError("Permission", `you may not ${DOING[need]} pool ${name}`, {
      hint: "plasmite_pool_list shows the pools that you may read.",
    });
  }

  features(): ReturnType<Backend["features"]> {
    return this.#backend.features();
  }

  async open(name: string, options: OpenOptions = {}): Promise<PoolHandle> {
    this.check(options.write === true ? "append" : "read", name);
    if (options.create !== undefined) this.check("admin", name);
    return await this.#backend.open(name, options);
  }

  async create(name: string, options?: NewPool): Promise<PoolInfo> {
    this.check("admin", name);
    return await this.#backend.create(name, options);
  }

  /** Creates a pool; one that another caller has created at the same time is as good. */
  async make(name: string): Promise<void> {
    try {
      await this.create(name);
    } catch (error) {
      if (!PlasmiteError.is(error, ErrorKind.AlreadyExists)) throw error;
    }
  }

  async info(name: string): Promise<PoolInfo> {
    this.check("read", name);
    return await this.#backend.info(name);
  }

  async remove(name: string): Promise<void> {
    this.check("admin", name);
    await this.#backend.remove(name);
  }

  async names(): Promise<readonly string[]> {
    return (await this.#backend.names()).filter((name) => this.can("read", name));
  }

  async list(choose: Choose = (names) => names): Promise<readonly PoolInfo[]> {
    return await this.#backend.list((names) =>
      choose(names.filter((name) => this.can("read", name)))
    );
  }

  close(): void {}
}

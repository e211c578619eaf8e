/**
 * The pools of a backend as one caller may use them: by plain names, never by paths, and only what
 * the caller's grant allows. Tools and resources reach pools by this alone.
 *
 * @module
 */

import type { PoolInfo } from "../lib/backend/local/info.ts";
import { poolName } from "../lib/backend/refs.ts";
import type { Backend, Choose, NewPool, OpenOptions, PoolHandle } from "../lib/backend/types.ts";
import { nameProblem } from "../lib/client/names.ts";
import { PlasmiteError } from "../lib/errors.ts";
import type { Grant, Need } from "../lib/types.ts";

const DOING: Readonly<Record<Need, string>> = {
  read: "read",
  append: "append to",
  admin: "create or delete",
};

/** Whose pools, and what of them is told. */
export interface PoolsOptions {
  /** What the caller may do. */
  readonly grant: Grant;
  /** Tell file names only, for peers on other machines, who have no use for the paths of this one. */
  readonly hidePaths?: boolean;
}

/** The pools that one caller may use. */
export class GrantedPools implements Backend {
  readonly place: string;
  /** What the caller may do. */
  readonly grant: Grant;
  readonly #backend: Backend;
  readonly #hidePaths: boolean;

  /** The backend stays the caller's to close. */
  constructor(backend: Backend, { grant, hidePaths = false }: PoolsOptions) {
    this.place = backend.place;
    this.grant = grant;
    this.#backend = backend;
    this.#hidePaths = hidePaths;
  }

  /** What of a file's path the caller may see. */
  shown(path: string): string {
    return this.#hidePaths ? path.slice(path.lastIndexOf("/") + 1) : path;
  }

  /** Whether the caller may do that with a pool. */
  can(need: Need, name: string): boolean {
    return this.grant.can(need, poolName(name));
  }

  /**
   * Refuses bad names and what the grant does not allow, before any pool is looked at.
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
    return await this.#backend.open(name, options);
  }

  async create(name: string, options?: NewPool): Promise<PoolInfo> {
    this.check("admin", name);
    return await this.#backend.create(name, options);
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

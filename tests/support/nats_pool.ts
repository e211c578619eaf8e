/**
 * Tests of one pool on a real NATS server: each has a server of its own.
 *
 * @module
 */

import { NatsBackend } from "../../lib/backend/nats.ts";
import type { PoolHandle } from "../../lib/backend/types.ts";
import { NATS_VERSIONS, NatsServer, natsServer, type NatsVersion } from "./nats.ts";

/** A running server, and a connection to it. */
export interface NatsScene {
  readonly version: NatsVersion;
  readonly server: NatsServer;
  readonly backend: NatsBackend;
}

/** A scene with an open pool. */
export interface NatsPoolScene extends NatsScene {
  /** The pool `P`, open for writing. */
  readonly pool: PoolHandle;
}

/**
 * Registers a test for each version of the server, one after another.
 *
 * @param name with `%` where the version belongs
 * @param config further lines of the server's configuration
 */
export function testOnNats(
  name: string,
  run: (scene: NatsScene) => Promise<void>,
  config = "",
): void {
  for (const version of NATS_VERSIONS) {
    Deno.test({
      name: name.replace("%", version),
      ignore: natsServer(version) === undefined,
      fn: async () => {
        const server = await NatsServer.start(version, config);
        const backend = new NatsBackend(server.url);
        try {
          await run({ version, server, backend });
        } finally {
          await backend.close();
          await server.end();
        }
      },
    });
  }
}

/** As {@linkcode testOnNats}, with a pool of this size. */
export function testNatsPool(
  name: string,
  sizeBytes: number,
  run: (scene: NatsPoolScene) => Promise<void>,
): void {
  testOnNats(name, async (scene) => {
    await scene.backend.create("P", { sizeBytes });
    const pool = await scene.backend.open("P", { write: true });
    try {
      await run({ ...scene, pool });
    } finally {
      await pool.close();
    }
  });
}

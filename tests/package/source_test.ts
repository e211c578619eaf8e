/**
 * An open pool stays the pool that was opened.
 *
 * @module
 */

import assert from "node:assert/strict";
import { LocalBackend } from "../../lib/backend/local.ts";
import { PlasmiteError } from "../../lib/errors.ts";
import { Client } from "../../mod.ts";
import { inTemp } from "../cli/cli_util.ts";

Deno.test("a pool that was replaced is not read in place of the one that was opened", () =>
  inTemp(async (dir) => {
    using client = new Client(dir);
    using old = client.createPool("p");
    using other = client.createPool("other");
    old.append({ a: 1 });
    const pool = new LocalBackend("").openNow(old.path);
    (await pool.select({ from: 1n })).close();
    await Deno.rename(other.path, old.path);
    assert.throws(
      () => pool.select({ from: 2n }),
      (error) =>
        PlasmiteError.is(error, 3) &&
        error.message === "pool path now refers to a different file",
    );
    pool.close();
  }));

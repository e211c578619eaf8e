/**
 * A reader stays with the pool it was opened for.
 *
 * @module
 */

import assert from "node:assert/strict";
import { openReader } from "../lib/backend/source.ts";
import { PlasmiteError } from "../lib/errors.ts";
import { Client } from "../mod.ts";
import { inTemp } from "./cli_util.ts";

Deno.test("a reader whose pool was replaced opens no stream of the new one", () =>
  inTemp(async (dir) => {
    using client = new Client(dir);
    using old = client.createPool("p");
    using other = client.createPool("other");
    old.append({ a: 1 });
    const reader = openReader(old.path);
    reader.open(1n, false).close();
    await Deno.rename(other.path, old.path);
    assert.throws(
      () => reader.open(2n, false),
      (error) =>
        PlasmiteError.is(error, 3) &&
        error.message === "pool path now refers to a different file",
    );
    reader.close();
  }));

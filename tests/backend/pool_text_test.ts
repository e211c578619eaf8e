/**
 * What a server prints of a pool is put together as text, what the command line and the agents print
 * is a document. Lost otherwise: one of them says something else about the same pool.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import type { PoolInfo } from "../../lib/backend/local/info.ts";
import { describingFiles, filesIn } from "../../lib/backend/local/listing.ts";
import {
  boundsDocument,
  metricsDocument,
  retentionDocument,
  sizesDocument,
} from "../../lib/backend/pool_document.ts";
import { briefPoolText, poolText } from "../../lib/backend/pool_text.ts";
import { inPlace } from "../../lib/storage/steps.ts";
import { float, Json, jsonText } from "../../lib/text/json_exact.ts";
import { makeEveryKind } from "../support/many_pools.ts";
import { withDir } from "../support/processes.ts";

function head(info: PoolInfo, name: string): { readonly [name: string]: string | number } {
  return { name, path: info.path.replace(/^.*\//, ""), ...sizesDocument(info) };
}

Deno.test("a pool's text is that of its document, with what a server knows besides or without", async () => {
  await withDir((dir) => {
    makeEveryKind(dir);
    const found = inPlace(describingFiles(filesIn(dir)));
    const infos: PoolInfo[] = found.flatMap((info) => [info, {
      ...info,
      path: `/some where/"${info.name}\\ é.plasmite`,
      ...(info.metrics && {
        metrics: {
          ...info.metrics,
          utilization: { ...info.metrics.utilization, usedPercent: 12 },
        },
      }),
    }]);
    assert.ok(infos.some(({ metrics }) => metrics !== undefined));
    assert.ok(infos.some(({ retention }) => retention?.maxAgeMs));
    for (const info of infos) {
      const name = `${info.name} "\n`;
      const metrics = metricsDocument(info, float);
      const common = { bounds: boundsDocument(info), metrics };
      const retention = retentionDocument(info);
      assert.equal(briefPoolText(info, name), jsonText(head(info, name)));
      assert.equal(
        poolText(info, name),
        jsonText({
          ...head(info, name),
          ...common,
          retention: typeof info.retention?.maxAgeMs === "number" ? retention : undefined,
        }),
      );
      const options = { followers: 2, unreadable: [{ first: 3n, last: 5n }], error: '{"a":1}' };
      assert.equal(
        poolText(info, name, options),
        jsonText({
          ...head(info, name),
          identity: info.identity,
          ...common,
          retention,
          last_seq: info.lastSeq,
          followers: 2,
          unreadable: [{ from: 3, to: 5 }],
          error: new Json(options.error),
        }),
      );
    }
  });
});

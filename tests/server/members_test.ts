/**
 * The members of a request body: found by their names however these are written.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { MemberWalker } from "../../server/members.ts";

const NAMES = ["data", "tags", "durability"];

/** The members of a body as text. */
function membersOf(body: string): Record<string, string> {
  const bytes = new TextEncoder().encode(body);
  const found: Record<string, string> = {};
  for (const [name, { start, end }] of new MemberWalker().walk(bytes, NAMES)) {
    found[name] = new TextDecoder().decode(bytes.subarray(start, end));
  }
  return found;
}

// Encoders may escape any letter: such a message would be refused, or stored without its tags.
Deno.test("members: a name is the same however it is written", () => {
  for (const name of ["data", "d\\u0061ta", "\\u0064\\u0061\\u0074\\u0061"]) {
    assert.deepEqual(membersOf(`{"${name}":{"a":1}, "tags" : ["x"]}`), {
      data: '{"a":1}',
      tags: '["x"]',
    });
  }
});

// A member that only looks like a known one must not become the message.
Deno.test("members: other names are ignored, and their values must be JSON", () => {
  const others = ["dat", "datas", "Data", "", "dät", "date", "\\u0000", "data\\u0000", 'd\\"ta'];
  for (const name of others) {
    assert.deepEqual(membersOf(`{"${name}":"ü\\n","data":{}}`), { data: "{}" }, name);
    assert.throws(() => membersOf(`{"${name}":"\\x","data":{}}`), /invalid json/, name);
  }
});

// Cut off, or with a control character: half a message must not be taken for a whole one.
Deno.test("members: a name must end, and may not contain control characters", () => {
  for (
    const body of ['{"data', '{"data\\"', '{"data\\', '{"da\nta":{}}', '{"data":"a\nb"}', '{"']
  ) {
    assert.throws(() => membersOf(body), /invalid json/, body);
  }
  for (const twice of ['{"data":{},"data":{}}', '{"data":{},"d\\u0061ta":{}}']) {
    assert.throws(() => membersOf(twice), /duplicate field data/, twice);
  }
});

/**
 * The reference's own documents: encoded byte for byte the same, and read back to the same values.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { Buf } from "../../lib/bytes.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { Lite3Doc } from "../../lib/lite3/doc.ts";
import { JsonSyntaxError, Lite3Encoder } from "../../lib/lite3/encode.ts";
import { printJson } from "../../lib/lite3/print.ts";
import { toValue } from "../../lib/lite3/value.ts";

interface Vector {
  readonly name: string;
  readonly kind: "encode" | "encode-error" | "decode" | "decode-error";
  readonly json: string | null;
  readonly length: number | null;
  readonly sha256?: string | null;
  readonly hex?: string;
  readonly roundtrip: string | null;
}

const vectors = JSON.parse(
  await Deno.readTextFile(new URL("../data/lite3-vectors.json", import.meta.url)),
) as Vector[];

function read(bytes: Uint8Array): { value: unknown; text: string } {
  // Not at the beginning of the buffer, so that every offset must be relative.
  const u8 = new Uint8Array(bytes.length + 3);
  u8.set(bytes, 3);
  const doc = new Lite3Doc().reset(u8, new DataView(u8.buffer), 3, bytes.length);
  const out = new Buf(1);
  printJson(doc, 0, out);
  return { value: toValue(doc, 0), text: new TextDecoder().decode(out.bytes()) };
}

/** The printed form of the reference: members in hash order, so only the values can be compared. */
function expected(roundtrip: string): unknown {
  return JSON.parse(roundtrip, (_key, value, context?: { source?: string }) => {
    const source = context?.source;
    if (source !== undefined && /^-?\d+$/.test(source) && !Number.isSafeInteger(value)) {
      return BigInt(source);
    }
    return value as unknown;
  });
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

Deno.test("there are 112 vectors", () => assert.equal(vectors.length, 112));

for (const vector of vectors) {
  Deno.test(`lite3 vector ${vector.kind} ${vector.name}`, async () => {
    const text = new TextEncoder().encode(vector.json ?? "");
    if (vector.kind === "encode") {
      const out = new Buf(8);
      out.u8.fill(0xee);
      out.len = 5;
      assert.equal(
        new Lite3Encoder(out).documentFromJson(text, 0, text.length) <= text.length,
        true,
      );
      const bytes = out.bytes().slice(5);
      if (vector.hex !== undefined) assert.equal(bytes.toHex(), vector.hex);
      assert.equal(bytes.length, vector.length);
      assert.equal(await sha256(bytes), vector.sha256);
      if (vector.roundtrip === null) return;
      const { value, text: printed } = read(bytes);
      assert.deepEqual(value, expected(vector.roundtrip));
      assert.deepEqual(expected(printed), expected(vector.roundtrip));
    } else if (vector.kind === "encode-error") {
      const out = new Buf(8);
      assert.throws(
        () => new Lite3Encoder(out).documentFromJson(text, 0, text.length),
        (error) => error instanceof JsonSyntaxError || PlasmiteError.is(error, ErrorKind.Usage),
      );
      assert.equal(out.len, 0);
    } else {
      const bytes = Uint8Array.fromHex(vector.hex ?? "");
      if (vector.kind === "decode") {
        assert.deepEqual(read(bytes).value, expected(vector.roundtrip ?? ""));
      } else {
        assert.throws(() => read(bytes), (error) => PlasmiteError.is(error, ErrorKind.Corrupt));
      }
    }
  });
}

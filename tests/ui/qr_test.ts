/**
 * QR codes of the page, read back: by our own reader, and by zbar where it is installed.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { readCode, VERSIONS } from "../support/qr_reader.ts";
import { qrCode } from "../../server/ui/qr.js";

/** A link of a length. */
function linkOf(length: number): string {
  const link = "https://pi.local:9743/ui#key=pk1.";
  const digits = Array.from({ length }, (_, i) => ((i * 7919 + length) % 16).toString(16));
  return (link + digits.join("")).slice(0, length);
}

// Lost: an invitation that the telephone's camera cannot read.
Deno.test("qr: every kind of version can be read, full or not, error correction included", () => {
  const seen = new Set<number>();
  for (const length of [1, 14, 84, 150, 152, 153, 180, 181, 210, 213, 360, 362, 1452, 1500, 2331]) {
    const code = qrCode(linkOf(length));
    if (VERSIONS[(code.size - 17) / 4] === undefined) continue;
    const { version, text } = readCode(code);
    assert.equal(text, linkOf(length));
    seen.add(version);
  }
  assert.deepEqual([...seen].map(String), Object.keys(VERSIONS));
  assert.equal(readCode(qrCode("grüße 👋")).text, "grüße 👋");
  assert.throws(() => qrCode(linkOf(2332)), /Too long/);
});

function hasZbar(): boolean {
  try {
    return new Deno.Command("zbarimg", { args: ["--version"] }).outputSync().success;
  } catch {
    return false;
  }
}

const ZBAR = hasZbar();

Deno.test({
  name: ZBAR
    ? "qr: zbar reads all versions of links"
    : "qr: zbar reads all versions of links (NOT RUN: apt-get install zbar-tools)",
  ignore: !ZBAR,
}, async () => {
  const path = await Deno.makeTempFile({ suffix: ".pgm" });
  for (const length of [20, 60, 140, 160, 200, 250, 300, 410]) {
    const { size, dark } = qrCode(linkOf(length));
    const side = size + 8;
    const rows = Array.from(
      { length: side * 4 },
      (_, y) =>
        Array.from({ length: side * 4 }, (_, x) => {
          const [column, row] = [(x >> 2) - 4, (y >> 2) - 4];
          const inside = column >= 0 && row >= 0 && column < size && row < size;
          return inside && dark[row * size + column] ? 0 : 1;
        }).join(" "),
    );
    await Deno.writeTextFile(path, `P2\n${side * 4} ${side * 4}\n1\n${rows.join("\n")}\n`);
    const { stdout } = await new Deno.Command("zbarimg", { args: ["-q", "--raw", path] }).output();
    assert.equal(new TextDecoder().decode(stdout).trimEnd(), linkOf(length));
  }
  await Deno.remove(path);
});

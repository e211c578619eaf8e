/**
 * The chart of a field, in real browsers: the temperatures of a Raspberry Pi, as in the cookbook.
 *
 * @module
 */

import assert from "node:assert/strict";
import { holds, inBrowsers, scene, serious, until } from "../support/browser.ts";

/** How many pixels of the chart have a colour of their own: neither empty nor grey. */
const COLORED = `(() => {
  const canvas = document.querySelector(".chart canvas");
  if (!canvas?.width) return 0;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let n = 0;
  for (let i = 0; i < data.length; i += 4) {
    const [r, g, b, a] = data.slice(i, i + 4);
    if (a > 150 && Math.max(r, g, b) - Math.min(r, g, b) > 60) n++;
  }
  return n;
})()`;
const TABLE = `[...document.querySelectorAll(".chart-table tbody tr")]
  .map((row) => [...row.cells].map((cell) => cell.textContent).join(" "))`;

inBrowsers("a chart of a number in the messages", async (t, browser) => {
  // Lost: that the shed was freezing, in thousands of lines of numbers.
  await t.step(
    "telemetry by tag: lines, percentiles, last value, live, over a range",
    () =>
      scene(browser, {}, async ({ server, page }) => {
        using pool = server.client.createPool("telemetry", 1 << 20);
        const now = Date.now();
        for (let i = 0; i < 120; i++) {
          const at = BigInt(now - (120 - i) * 1000) * 1_000_000n;
          pool.append({ sensor: "temp", value: 42100 + i * 10, ts: "x" }, {
            tags: ["sensor"],
            timestampNs: at,
          });
          if (i % 2 === 0) {
            pool.append({ celsius: 20 + i / 20 }, { tags: ["room", "shed"], timestampNs: at });
            pool.append({ celsius: i === 60 ? "broken" : 22 }, {
              tags: ["room", "attic"],
              timestampNs: at,
            });
          }
        }
        await page.goto(`${server.url}/ui/pools/telemetry?chart=.data.value&tag=sensor`);
        await until(page, `${TABLE}.length === 1`);
        await holds(async () =>
          assert.deepEqual(await page.evaluate(TABLE), [
            ".data.value 43290 42690 43230 42100 43290 120",
          ])
        );
        await until(page, `${COLORED} > 200`);
        pool.append({ sensor: "temp", value: 50000 }, ["sensor"]);
        await until(page, `${TABLE}[0]?.startsWith(".data.value 50000 ")`);
        await holds(async () => assert.deepEqual(await serious(page), []));

        await page.getByRole("button", { name: "Clear the filter" }).click();
        await page.getByLabel("Field to draw").fill(".data.celsius");
        await page.keyboard.press("Enter");
        await until(page, `${TABLE}.length === 2`);
        const rows = await page.evaluate<string[]>(TABLE);
        assert.deepEqual(rows.map((row) => row.split(" ").slice(0, 2).join(" ")).sort(), [
          "#room #attic",
          "#room #shed",
        ]);
        await page.locator(".chart-note", {
          hasText: "122 messages without a number at .data.celsius",
        }).waitFor();
        await until(page, `new URLSearchParams(location.search).get("chart") === ".data.celsius"`);

        // By keyboard, with words for those who see no lines.
        const plot = page.getByRole("slider", { name: /^Chart/ });
        await plot.focus();
        await page.keyboard.press("Home");
        await until(
          page,
          `document.querySelector(".chart-plot").ariaValueText?.includes("#room #shed 20")`,
        );
        await page.keyboard.press("End");
        await until(
          page,
          `document.querySelector(".chart-plot").ariaValueText?.includes("#room #attic 22")`,
        );
        // A range of the past is drawn instead of everything.
        const [from, to] = [now - 100_000, now - 80_500].map((t) => new Date(t).toISOString());
        await page.goto(
          `${server.url}/ui/pools/telemetry?chart=.data.celsius&tag=shed&from=${from}&to=${to}`,
        );
        await until(page, `${TABLE}.join().endsWith(" 10")`);
        await page.getByRole("button", { name: "Close the chart" }).click();
        await page.locator(".chart").waitFor({ state: "hidden" });
        await page.locator(".list").focus();
        await page.keyboard.press("v");
        await page.locator(".chart").waitFor();
        await holds(async () =>
          assert.equal(await page.getByLabel("Field to draw").inputValue(), ".data.celsius")
        );
      }),
  );

  await t.step(
    "colours follow the theme, and a path that is none is said",
    () =>
      scene(browser, {}, async ({ server, page }) => {
        using pool = server.client.createPool("t", 1 << 18);
        for (let n = 0; n < 50; n++) pool.append({ n });
        await page.goto(`${server.url}/ui/pools/t?chart=1`);
        await until(page, `${COLORED} > 100`);
        const image = `document.querySelector(".chart canvas").toDataURL()`;
        const before = await page.evaluate(image);
        await page.evaluate(`document.activeElement?.blur()`);
        await page.keyboard.press("Control+k");
        await page.getByRole("combobox", { name: /^Go to a pool/ }).fill("dark");
        await page.keyboard.press("Enter");
        await until(page, `${image} !== ${JSON.stringify(before)}`);
        await page.getByLabel("Field to draw").fill("length > 3");
        await page.keyboard.press("Enter");
        await page.locator(".chart-note", { hasText: "is no path" }).waitFor();
      }),
  );
});

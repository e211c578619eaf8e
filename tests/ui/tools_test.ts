/**
 * What can be done with messages on the page, as a user does it in Chromium: see what is around one,
 * compare two, copy a command, save what is listed.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { command as program } from "../cli/cli_util.ts";
import {
  holds,
  inBrowsers,
  type Scene,
  scene,
  type SceneOptions,
  until,
} from "../support/browser.ts";
import { ask, listed, rowOf, rowWith } from "../support/scene.ts";

const clipboard = (page: Page): Promise<string> => page.evaluate("navigator.clipboard.readText()");

/** Runs a copied command line in a shell that knows `plasmite`, to the end of what there is. */
async function run(command: string): Promise<string[]> {
  const script = `plasmite() { ${program([])} "$@"; }\n${command} --no-follow --jsonl`;
  const { stdout, stderr } = await new Deno.Command("sh", { args: ["-c", script] }).output();
  const text = new TextDecoder().decode(stdout);
  assert.notEqual(text, "", new TextDecoder().decode(stderr));
  return text.trimEnd().split("\n");
}

inBrowsers("tools for messages", async (t, browser) => {
  const step = (
    name: string,
    options: SceneOptions,
    play: (scene: Scene) => Promise<void>,
  ): Promise<boolean> => t.step(name, () => scene(browser, options, play));

  await step("twenty around one: its context, which the filter hides", {}, async (s) => {
    const { server, page } = s;
    const pool = server.client.createPool("p", 1 << 20);
    for (let n = 1; n <= 100; n++) {
      pool.append({ n, msg: n % 20 ? "step" : "failed" }, [n % 20 ? "ok" : "error"]);
    }
    await page.goto(`${server.url}/ui/pools/p?tag=error`);
    await rowWith(page, "100").waitFor(); // The last one: no row moves any more.
    await rowOf(page, 80).click();
    await page.locator(".inspector h2", { hasText: "#80" }).waitFor();
    await page.keyboard.press("o");
    const items = page.locator("dialog .around li");
    await page.locator("dialog .around .here").waitFor();
    await holds(async () => assert.equal(await items.count(), 21));
    const numbers = async () =>
      (await items.locator(".seq").allTextContents()).map((text) => Number(text));
    await holds(async () =>
      assert.deepEqual(await numbers(), Array.from({ length: 21 }, (_, i) => 70 + i))
    );
    await holds(async () =>
      assert.match(await page.locator("dialog .here").innerText(), /80.*error.*failed/s)
    );
    await page.getByRole("button", { name: "10 earlier" }).click();
    await until(page, `document.querySelectorAll("dialog .around li").length === 31`);
    await page.getByRole("button", { name: "10 later" }).click();
    await until(page, `document.querySelectorAll("dialog .around li").length === 41`);
    await holds(async () =>
      assert.deepEqual(await numbers(), Array.from({ length: 41 }, (_, i) => 60 + i))
    );
    // The filter is still there, until one of the others is looked at.
    await page.keyboard.press("Escape");
    await page.locator('.chip[aria-pressed="true"]', { hasText: "error" }).waitFor();
    await page.keyboard.press("o");
    await page.locator("dialog .around a", { hasText: "83" }).first().click();
    await page.locator(".inspector h2", { hasText: "#83" }).waitFor();
    await rowWith(page, "82").waitFor();
  });

  await step("around the oldest and the newest there is less", {}, async ({ server, page }) => {
    const pool = server.client.createPool("p", 1 << 16);
    for (let n = 1; n <= 2000; n++) pool.append({ n });
    const oldest = Number(pool.info().bounds.oldestSeq);
    await page.goto(`${server.url}/ui/pools/p?seq=${oldest}`);
    await page.locator(".inspector h2", { hasText: `#${oldest}` }).waitFor();
    await page.keyboard.press("o");
    await until(page, `document.querySelectorAll("dialog .around li").length === 11`);
    await holds(async () =>
      assert.ok(await page.getByRole("button", { name: "10 earlier" }).isDisabled())
    );
    await page.goto(`${server.url}/ui/pools/p?seq=2000`);
    await page.locator(".inspector h2", { hasText: "#2000" }).waitFor();
    await page.keyboard.press("o");
    await until(page, `document.querySelectorAll("dialog .around li").length === 11`);
  });

  await step("two messages are compared by path, by keys alone", {}, async ({ server, page }) => {
    const pool = server.client.createPool("p", 1 << 18);
    const json = (text: string) => new TextEncoder().encode(text);
    pool.appendJson(json('{"id":9007199254740993,"user":{"plan":"free","x":1}}'), ["a"]);
    pool.appendJson(json('{"id":9007199254740992,"user":{"plan":"free","y":"<b>"}}'), ["b"]);
    await page.goto(`${server.url}/ui/pools/p`);
    await rowWith(page, "9007199254740992").waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("Enter");
    await page.locator(".inspector h2", { hasText: "#1" }).waitFor();
    await page.keyboard.press("x");
    await page.getByRole("button", { name: "Compare", pressed: true }).waitFor();
    await page.keyboard.press("j");
    await page.getByRole("button", { name: "Compare with #1" }).waitFor();
    await page.keyboard.press("x");
    await page.locator("dialog h2", { hasText: "#1 and #2" }).waitFor();
    const cells = () =>
      page.locator("dialog .diff tbody tr").evaluateAll((rows) =>
        rows.map((row) => [...row.children].map((cell) => cell.textContent))
      );
    await holds(async () =>
      assert.deepEqual(await cells(), [
        [".meta.tags", '"a"', "absent"],
        [".meta.tags", "absent", '"b"'],
        [".data.id", "9007199254740993", "9007199254740992"],
        [".data.user.x", "1", "absent"],
        [".data.user.y", "absent", '"<b>"'],
      ])
    );
  });

  const nasty = `it's $(touch /tmp/never) "x" !`;
  await step("the follow command does in a terminal what the filter does on the page", {
    context: { permissions: ["clipboard-read", "clipboard-write"] },
  }, async ({ server, page }) => {
    const pool = server.client.createPool("a b", 1 << 18);
    for (let n = 1; n <= 10; n++) pool.append({ n, msg: "it's" }, n % 2 ? [nasty] : ["other"]);
    const where = `.data.n > 4 and .data.msg == "it's"`;
    const query = new URLSearchParams({ tag: nasty, where });
    await page.goto(`${server.url}/ui/pools/a%20b?${query}`);
    await rowOf(page, 9).click();
    await page.locator(".inspector").getByText("follow", { exact: true }).click();
    await holds(async () =>
      assert.match(await clipboard(page), /^plasmite follow \S+ --tag .* --where '/)
    );
    const command = await clipboard(page);
    await holds(async () =>
      assert.deepEqual((await run(command)).map((line) => JSON.parse(line).data.n), [5, 7, 9])
    );
    await page.keyboard.press("Escape");
    await page.keyboard.press("e");
    await page.getByRole("button", { name: "Copy the curl command" }).click();
    const begin = `curl -sSN '${server.url}/v0/pools/a%20b/tail?`;
    await holds(async () => assert.ok((await clipboard(page)).startsWith(begin)));
    const curl = await clipboard(page);
    const url = curl.slice(curl.indexOf("'") + 1, -1);
    const answer = await fetch(`${url}&max=3&since_seq=1`);
    const texts = (await answer.text()).trimEnd().split("\n");
    assert.deepEqual(texts.map((text) => JSON.parse(text).data.n), [5, 7, 9]);
  });

  await step("the follow command finds the words that the page lists", {
    context: { permissions: ["clipboard-read", "clipboard-write"] },
  }, async ({ server, page }) => {
    const pool = server.client.createPool("p", 1 << 18);
    pool.append({ text: "connection Refused (a+b)" });
    pool.append({ text: "fine", "refused?": 1 });
    pool.append({ text: "fine" }, ["refused"]);
    pool.append({ text: "fine", n: [142] });
    await page.goto(`${server.url}/ui/pools/p`);
    await rowWith(page, "142").waitFor();
    for (
      const [words, found] of [["refused", [1, 2, 3]], ["Refused (a+b)", [1]], ["42", [4]]] as const
    ) {
      await ask(page, words);
      await page.getByLabel(/only/i).check();
      await listed(page, found.length);
      await page.locator(".list").focus();
      await page.keyboard.press("e");
      await page.getByRole("button", { name: "Copy the plasmite command" }).click();
      await holds(async () => {
        const lines = await run(await clipboard(page));
        assert.deepEqual(lines.map((line) => JSON.parse(line).seq), found, words);
      });
      await page.keyboard.press("Escape");
    }
  });

  await step("with a token the copied commands name a variable, not the token", {
    app: { token: "correct-horse" },
    context: { permissions: ["clipboard-read", "clipboard-write"] },
  }, async ({ server, page }) => {
    server.client.createPool("p", 1 << 18).append({ n: 1 });
    await page.goto(`${server.url}/ui/pools/p`);
    await page.locator("dialog input[type=password]").fill("correct-horse");
    await page.keyboard.press("Enter");
    await rowWith(page, "n 1").click();
    for (const name of ["curl", "fetch", "follow", "JSON", "link"]) {
      await page.locator(".inspector .copies").getByText(name, { exact: true }).click();
      await page.locator("#toast", { hasText: "Copied" }).waitFor();
      await holds(async () => {
        const copied = await clipboard(page);
        assert.doesNotMatch(copied, /horse/);
        if (/curl|fetch|follow/.test(name)) assert.match(copied, /\$PLASMITE_TOKEN"/);
      });
    }
  });

  await step("what is listed is saved, as JSON lines and as CSV, exactly", {
    context: { acceptDownloads: true },
  }, async ({ server, page }) => {
    const pool = server.client.createPool("p", 1 << 24);
    const put = (text: string, tags: string[]) =>
      pool.appendJson(new TextEncoder().encode(text), tags);
    for (let n = 1; n <= 5000; n++) {
      put(`{"id":${9007199254740993n + BigInt(n)},"msg":"=cmd ${n}","n":${n}}`, ["a", "b"]);
    }
    await page.addInitScript(`if (location.protocol === "http:") {
      localStorage.setItem("plasmite-pins:p", '[["msg"],["id"]]');
    }`);
    await page.goto(`${server.url}/ui/pools/p`);
    await rowWith(page, "=cmd 5000").waitFor();
    const save = async (name: string): Promise<[string, string]> => {
      await page.keyboard.press("e");
      const downloading = page.waitForEvent("download");
      await page.getByRole("button", { name, exact: true }).click();
      const download = await downloading;
      return [download.suggestedFilename(), await Deno.readTextFile(await download.path())];
    };
    const [csvName, csv] = await save("CSV");
    assert.equal(csvName, "p-1-5000.csv");
    const lines = csv.split("\r\n");
    assert.equal(lines[0], "seq,time,tags,msg,id,data");
    assert.equal(lines.length, 5002);
    assert.match(
      lines[5000] ?? "",
      /^5000,[^,]+Z,"a,b",'=cmd 5000,9007199254745993,"\{""id"":9007199254745993,/,
    );
    const [jsonName, json] = await save("JSON lines");
    assert.equal(jsonName, "p-1-5000.jsonl");
    const texts = json.trimEnd().split("\n");
    assert.equal(texts.length, 5000);
    assert.ok(texts[41]?.startsWith('{"data":{"id":9007199254741035,"msg":"=cmd 42","n":42}'));
  });
}, ["chromium"]);

/**
 * Makes pictures of the page. `deno run -A tests/ui/screenshots.ts` makes those of the documentation
 * into `docs/assets`; with a folder, every state goes there: `… screenshots.ts FOLDER [NAME]`.
 *
 * @module
 */

import type { BrowserContextOptions, Page } from "playwright-core";
import { fillPool, launch, story, TestServer, watchPage } from "../support/browser.ts";
import { inCheckout } from "../support/paths.ts";

const folder = Deno.args[0] ?? inCheckout("docs/assets");
const only = Deno.args[1];
/** Those that the documentation shows. */
const PUBLISHED = [
  "pools",
  "stream",
  "stream-dark",
  "stream-phone",
  "inspector",
  "past",
  "chart",
  "several",
];
await Deno.mkdir(folder, { recursive: true });

const browser = await launch();
await using server = new TestServer();
await using locked = new TestServer({ token: "secret", access: "read-only" });
await using empty = new TestServer();

const { client } = server;
const minutes = 60_000;
const shop = client.createPool("shop", 1 << 22);
fillPool(shop, 6000, 7 * minutes);
const builds = client.createPool("builds", 1 << 20);
fillPool(builds, 420, 26 * 60 * minutes, Date.now() - 12 * minutes);
const sensors = client.createPool("sensors", 1 << 18);
fillPool(sensors, 2000, 3 * minutes);
const agents = client.createPool("agents", 1 << 20);
fillPool(agents, 240, 48 * minutes);
const deploys = client.createPool("deploys", 1 << 18);
fillPool(deploys, 31, 9 * 24 * 60 * minutes, Date.now() - 3 * 60 * minutes);
const mail = client.createPool("mail", 1 << 16);
fillPool(mail, 300, 200 * minutes, Date.now() - 40_000);
client.createPool("scratch", 1 << 20);
const sql = client.createPool("logs-db", 1 << 20);
fillPool(sql, 900, 31 * minutes);
const logs = client.createPool("logs-api", 1 << 21);
fillPool(logs, 2100, 33 * minutes);
const torn = client.createPool("orders", 1 << 18);
fillPool(torn, 260, 55 * minutes);
await Deno.writeTextFile(`${server.dir}/not-a-pool.plasmite`, "something else");
await torn.setCursor("billing", 214);
const house = client.createPool("house", 1 << 21);
for (let i = 0; i < 1800; i++) {
  const at = Date.now() - (1800 - i) * 2000;
  for (const [room, base] of [["kitchen", 21.4], ["attic", 25.2], ["shed", 8.1]] as const) {
    const wave = Math.sin(i / 190 + base) * 1.6 + Math.sin(i / 23 + base) * 0.35;
    const noise = (i * 2654435761 >>> 9) % 100 / 400;
    const celsius = Math.round((base + wave + noise) * 100) / 100;
    house.append({ sensor: room, celsius }, {
      tags: [room],
      timestampNs: BigInt(at) * 1_000_000n,
    });
  }
}
empty.client.createPool("fresh", 1 << 18);
const shown = locked.client.createPool("shop", 1 << 20);
fillPool(shown, 900, 30 * minutes);

let n = 0;
let turn = 0;
const writer = setInterval(() => {
  turn++;
  const beat = Math.max(1, Math.round(1.6 + Math.sin(turn / 19) + 0.7 * Math.sin(turn / 7)));
  for (let i = 0; i < beat; i++) {
    const { data, tags } = story(6000 + ++n);
    shop.append(data, tags);
    if (i === 0) sensors.append({ sensor: `t${n % 4}`, celsius: 20 + (n % 30) / 10 }, ["reading"]);
  }
  if (turn % 40 === 7) agents.append({ agent: "reviewer", state: "waiting", turn }, ["agent"]);
}, 100);

const desktop: BrowserContextOptions = {
  viewport: { width: 1360, height: 840 },
  timezoneId: "UTC",
};
const phone: BrowserContextOptions = {
  viewport: { width: 390, height: 760 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
  timezoneId: "UTC",
};
const dark = { colorScheme: "dark" as const };

/** Makes a picture a third as large, if pngquant is here. */
async function squeeze(path: string): Promise<void> {
  const args = ["--force", "--skip-if-larger", "--strip", "--quality", "80-98", "--output", path];
  try {
    await new Deno.Command("pngquant", { args: [...args, path] }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function shoot(
  name: string,
  url: string,
  options: BrowserContextOptions,
  act?: (page: Page) => Promise<void>,
  settle = 900,
): Promise<void> {
  if (only ? !name.includes(only) : Deno.args.length === 0 && !PUBLISHED.includes(name)) return;
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const bad = watchPage(page, new URL(url).origin);
  await page.goto(url);
  await page.waitForTimeout(settle);
  await act?.(page);
  const path = `${folder}/ui-${name}.png`;
  await page.screenshot({ path });
  await squeeze(path);
  await context.close();
  if (bad.length) throw new Error(`${name}: ${bad.join("; ")}`);
}

const inspect = async (page: Page): Promise<void> => {
  await page.keyboard.press("Space");
  for (let i = 0; i < 3; i++) await page.keyboard.press("k");
  await page.keyboard.press("Enter");
  await page.waitForTimeout(300);
};
const pin = async (page: Page): Promise<void> => {
  await page.evaluate(() => {
    localStorage.setItem("plasmite-pins:shop", JSON.stringify([["level"], ["service"], ["ms"]]));
  });
  await page.reload();
  await page.waitForTimeout(1500);
};

const view = `${server.url}/ui/pools/shop`;
await shoot("pools", `${server.url}/ui`, desktop, undefined, 9000);
await shoot("pools-dark", `${server.url}/ui`, { ...desktop, ...dark }, undefined, 9000);
await shoot("pools-phone", `${server.url}/ui`, phone, undefined, 5000);
await shoot("stream", view, desktop, undefined, 3500);
await shoot("stream-dark", view, { ...desktop, ...dark }, async (page) => {
  await page.waitForTimeout(2500);
  await pin(page);
  await inspect(page);
});
await shoot("stream-phone", view, phone, undefined, 2500);
await shoot("inspector", view, desktop, inspect, 2500);
await shoot("inspector-phone", view, phone, inspect, 1500);
await shoot("chart", `${server.url}/ui/pools/house?chart=.data.celsius`, desktop, async (page) => {
  await page.getByRole("slider", { name: /^Chart/ }).focus();
  for (let i = 0; i < 4; i++) await page.keyboard.press("Shift+ArrowLeft");
}, 3000);
await shoot(
  "chart-dark",
  `${server.url}/ui/pools/house?chart=.data.celsius`,
  {
    ...desktop,
    ...dark,
  },
  undefined,
  3000,
);
await shoot("several", `${server.url}/ui/pools/shop,logs-api,logs-db`, desktop, async (page) => {
  await page.mouse.move(500, 600);
  await page.mouse.wheel(0, -3000);
  await page.waitForTimeout(900);
}, 3000);
await shoot(
  "side",
  `${server.url}/ui/pools/shop,logs-api,logs-db?layout=side`,
  {
    ...desktop,
    ...dark,
  },
  undefined,
  3000,
);
await shoot("palette", view, desktop, async (page) => {
  await page.keyboard.press("Control+k");
  await page.keyboard.type("logs");
  await page.waitForTimeout(700);
});
await shoot("settings", view, { ...desktop, ...dark }, async (page) => {
  await page.getByRole("button", { name: "Settings" }).click();
  await page.waitForTimeout(300);
});
await shoot("columns", view, desktop, pin);
await shoot("paused", view, desktop, async (page) => {
  await page.keyboard.press("Space");
  await page.waitForTimeout(2500);
}, 1500);
await shoot("filter", view, desktop, async (page) => {
  await page.keyboard.press("/");
  await page.keyboard.type('.data.ms > 600 and .data.level != "error"');
  await page.waitForTimeout(600);
  await page.keyboard.press("Enter");
  await page.waitForTimeout(1800);
}, 1500);
await shoot("filter-error", view, { ...desktop, ...dark }, async (page) => {
  await page.keyboard.press("/");
  await page.keyboard.type(".data.ms > (600 and .data.level");
  await page.waitForTimeout(900);
}, 1500);
const range = async (page: Page): Promise<void> => {
  const box = await page.locator(".plot").boundingBox();
  if (!box) throw new Error("no timeline");
  await page.mouse.move(box.x + box.width * 0.42, box.y + 30);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.72, box.y + 32, { steps: 6 });
  await page.mouse.up();
  await page.waitForTimeout(1500);
};
await shoot("past", view, desktop, range, 2000);
await shoot("past-phone", view, phone, range, 2000);
await shoot("replay", view, { ...desktop, ...dark }, async (page) => {
  await range(page);
  await page.locator(".replay select").selectOption("10");
  await page.keyboard.press("Space");
  await page.waitForTimeout(2500);
}, 2000);
await shoot("scrolled", view, desktop, async (page) => {
  await page.mouse.move(600, 600);
  await page.mouse.wheel(0, -6000);
  await page.waitForTimeout(1800);
}, 1500);
await shoot("append", view, desktop, async (page) => {
  await page.keyboard.press("a");
  await page.keyboard.type('{"level": "info", "text": "hello" "n": 1}');
  await page.waitForTimeout(400);
}, 1500);
await shoot("help", view, desktop, async (page) => void await page.keyboard.press("?"), 1500);
await shoot(
  "create",
  `${server.url}/ui`,
  desktop,
  async (page) => void await page.keyboard.press("n"),
);
await shoot("delete", `${server.url}/ui`, { ...desktop, ...dark }, async (page) => {
  await page.locator('[aria-label="Delete mail"]').click();
  await page.locator("dialog .danger").click();
});
await shoot("sign-in", `${locked.url}/ui`, desktop);
await shoot("sign-in-phone", `${locked.url}/ui`, { ...phone, ...dark });
const signIn = async (page: Page): Promise<void> => {
  await page.locator("input[type=password]").fill("secret");
  await page.keyboard.press("Enter");
  await page.waitForTimeout(1500);
};
await shoot("read-only", `${locked.url}/ui/pools/shop`, desktop, signIn);
await shoot("empty", `${empty.url}/ui/pools/fresh`, desktop);
await shoot("missing", `${empty.url}/ui/pools/nothing-here`, { ...desktop, ...dark });
await shoot("gap", `${server.url}/ui/pools/mail`, desktop, async (page) => {
  await page.keyboard.press("Space");
  await server.stop();
  fillPool(mail, 700, 30_000);
  await page.waitForTimeout(1500);
  server.start();
  await page.waitForTimeout(3500);
  await page.keyboard.press("Space");
  mail.append({ note: "back again" }, ["ok"]);
  await page.waitForTimeout(800);
  await page.mouse.move(600, 600);
  await page.mouse.wheel(0, -1800);
  await page.waitForTimeout(800);
}, 1200);

clearInterval(writer);
await browser.close();

/**
 * The page on which a person lets an agent in, in a real browser: whether it sends the right
 * `Origin`, keeps its cookie, and may be sent on to the agent is decided there and nowhere else
 * (docs/spec/sharing.md 5.1).
 *
 * @module
 */

import assert from "node:assert/strict";
import { holds, inBrowsers } from "../support/browser.ts";
import { challengeOf, OAuthClient, pairOf, reachable } from "../server/oauth_util.ts";
import { PATIENCE_MS } from "../support/patience.ts";

// Lost: every agent that signs in with a browser, by a header that only browsers heed.
inBrowsers(
  "oauth page: a browser lets an agent in, or not, and is sent back to it",
  async (_, browser) => {
    await using server = await reachable();
    await using agent = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => new Response("done", { headers: { "content-type": "text/plain" } }),
    );
    const callback = `http://127.0.0.1:${agent.addr.port}/callback`;
    const client = new OAuthClient(server);
    const key = await server.invite("agent");
    const { json } = await client.register({ client_name: "Agent", redirect_uris: [callback] });
    const verifier = "v".repeat(64);
    const url = new URL("/oauth/authorize", client.origin);
    url.search = new URLSearchParams({
      response_type: "code",
      client_id: json.client_id,
      redirect_uri: callback,
      code_challenge: challengeOf(verifier),
      code_challenge_method: "S256",
      resource: client.resource,
      state: "s",
    }).toString();
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    // Agents open the page from a page of their own.
    await page.goto(`http://127.0.0.1:${agent.addr.port}/`);
    await page.goto(url.href);
    await page.fill("#access_key", key);
    await page.click("button[value=approve]");
    await page.waitForURL((url) => url.href.startsWith(callback));
    const answer = new URL(page.url()).searchParams;
    assert.deepEqual([answer.get("state"), answer.get("iss")], ["s", client.origin]);
    const code = { code: answer.get("code") ?? "", verifier };
    const pair = pairOf(await client.exchange(json.client_id, code, { redirect_uri: callback }));
    await holds(async () => assert.equal((await client.mcp(pair.access)).status, 200));

    await page.goto(url.href);
    await holds(async () =>
      assert.equal(await page.evaluate("getComputedStyle(document.body).maxWidth"), "544px")
    );
    await page.click("button[value=deny]");
    await page.waitForURL((url) => url.href.startsWith(callback));
    await holds(() => assert.equal(new URL(page.url()).searchParams.get("error"), "access_denied"));
    assert.deepEqual(complaints.filter((text) => !text.includes("favicon")), []);
  },
);

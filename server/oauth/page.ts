/**
 * The page on which a person approves a client with an access key (docs/spec/sharing.md 5).
 *
 * @module
 */

import { sha256 } from "../../lib/storage/sha256.ts";

const STYLE = "body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:10vh auto;" +
  "padding:0 1rem;color-scheme:light dark}dt{font-weight:600}dd{margin:0 0 .6rem;" +
  "overflow-wrap:anywhere}input{width:100%;box-sizing:border-box;font:inherit;padding:.5rem}" +
  "button{font:inherit;padding:.5rem 1rem;margin:1rem .5rem 0 0}";

/**
 * The page's Content-Security-Policy.
 *
 * No `form-action`: it would block the redirect to the callback. No `Referrer-Policy` either: with
 * `no-referrer`, browsers send the form with `Origin: null`, which is refused.
 */
export function approvalPolicy(): string {
  const style = sha256(new TextEncoder().encode(STYLE)).toBase64();
  return "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; " +
    `style-src 'sha256-${style}'`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (c) => ESCAPES[c] ?? "");
}

/** What the page shows. */
export interface Approval {
  /** The pending request. */
  readonly request: string;
  readonly clientName: string;
  readonly resource: string;
  readonly redirectUri: string;
}

/** The page as HTML. */
export function approvalPage({ request, clientName, resource, redirectUri }: Approval): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Allow access to Plasmite</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Allow access?</h1>
<p>A program asks to use the pools of this server. It will be able to do what the key can do, until
the key is revoked. Go on only if you have just started this from that program.</p>
<dl>
<dt>Program, as it calls itself</dt><dd>${escaped(clientName)}</dd>
<dt>For</dt><dd>${escaped(resource)}</dd>
<dt>Then this browser goes to</dt><dd>${escaped(redirectUri)}</dd>
</dl>
<form method="post" action="/oauth/approve">
<input type="hidden" name="request" value="${escaped(request)}">
<label for="access_key">Access key</label>
<input type="password" id="access_key" name="access_key" autocomplete="off" required>
<button name="decision" value="approve">Allow</button>
<button name="decision" value="deny" formnovalidate>Deny</button>
</form>
</body>
</html>
`;
}

/**
 * OAuth for `/mcp` on the remote listener: clients register themselves, a person approves them with
 * an access key, and they get tokens that end when that key does (docs/spec/sharing.md 5).
 *
 * These endpoints are not in `server/routes`: their paths, forms and errors are defined by OAuth.
 *
 * @module
 */

import { equalSecrets } from "../../lib/access/key.ts";
import { sha256 } from "../../lib/storage/sha256.ts";
import type { Grant } from "../../lib/types.ts";
import type { KeyStore } from "../access/keys.ts";
import { AttemptLimit } from "../access/limit.ts";
import type { BodyReader } from "../body.ts";
import { HttpError } from "../errors.ts";
import { BASE_HEADERS, cookiesOf, type HeaderPairs, json } from "../headers.ts";
import { peerOf } from "../peer.ts";
import { searchOf } from "../url.ts";
import { invalidRequest, OAuthError, tooMany } from "./error.ts";
import { approvalPage, approvalPolicy } from "./page.ts";
import { Parameters, readForm, readRegistration } from "./parameters.ts";
import { PENDING_LIFE, PendingApprovals } from "./pending.ts";
import { type OAuthStore, TOKEN_LIFE, type Tokens } from "./store.ts";

const APPROVE = "/oauth/approve";
const RESOURCE_METADATA = "/.well-known/oauth-protected-resource";
const COOKIE = "plasmite_oauth";
const COOKIE_ATTRIBUTES = `Secure; HttpOnly; SameSite=Lax; Path=${APPROVE}`;
/** The maximum number of registrations and approval pages per address and minute. */
const MOST_A_MINUTE = 30;
/** The maximum length of `state`, in characters. */
const LONGEST_STATE = 1024;

/** What the endpoints need. */
export interface OAuthOptions {
  /** The shared address without a trailing slash; null if unknown. */
  readonly origin: string | null;
  /** The fingerprint of the server, which is part of its keys. */
  readonly fingerprint: string;
  readonly keys: KeyStore;
  readonly store: OAuthStore;
  /** Slows down guessing of keys; shared with browser sign-in. */
  readonly limit: AttemptLimit;
}

interface Endpoint {
  readonly method: "GET" | "POST";
  readonly answer: (request: Request, bodies: BodyReader) => Response | Promise<Response>;
}

/** The OAuth endpoints of one server. */
export class OAuth {
  readonly #options: OAuthOptions;
  readonly #pending = new PendingApprovals();
  readonly #starts = new AttemptLimit(MOST_A_MINUTE);
  readonly #endpoints: ReadonlyMap<string, Endpoint>;

  constructor(options: OAuthOptions) {
    this.#options = options;
    const get = (answer: Endpoint["answer"]): Endpoint => ({ method: "GET", answer });
    const post = (answer: Endpoint["answer"]): Endpoint => ({ method: "POST", answer });
    const resource = get(() => this.#resourceMetadata());
    this.#endpoints = new Map([
      [RESOURCE_METADATA, resource],
      [`${RESOURCE_METADATA}/mcp`, resource],
      ["/.well-known/oauth-authorization-server", get(() => this.#serverMetadata())],
      ["/oauth/register", post((request, bodies) => this.#register(request, bodies))],
      ["/oauth/authorize", get((request) => this.#authorize(request))],
      [APPROVE, post((request, bodies) => this.#approve(request, bodies))],
      ["/oauth/token", post((request, bodies) => this.#token(request, bodies))],
      ["/oauth/revoke", post((request, bodies) => this.#revoke(request, bodies))],
    ]);
  }

  /** Whether a path belongs to OAuth. */
  handles(path: string): boolean {
    return this.#endpoints.has(path);
  }

  /** The error for a cross-origin request, in the format of the endpoint. */
  foreign(path: string): OAuthError | null {
    return path === APPROVE ? new OAuthError(403, "invalid_request") : null;
  }

  /**
   * Answers a request to an OAuth path.
   *
   * @throws {HttpError}
   */
  async answer(request: Request, path: string, bodies: BodyReader): Promise<Response> {
    const endpoint = this.#endpoints.get(path);
    if (endpoint === undefined || this.#options.origin === null) {
      return new Response(null, { status: 404, headers: BASE_HEADERS });
    }
    const { method } = endpoint;
    if (request.method !== method && !(request.method === "HEAD" && method === "GET")) {
      throw new HttpError(405, "Usage", "method not allowed", {
        headers: [["allow", method === "GET" ? "GET,HEAD" : method]],
      });
    }
    return await endpoint.answer(request, bodies);
  }

  /** What the holder of an access token may do on `/mcp`; null if it is invalid. */
  find(token: string): Grant | null {
    return this.#options.origin === null ? null : this.#options.store.find(token, this.#resource);
  }

  /** The error for a caller of `/mcp` without valid credentials; it says where to get some. */
  refusal(): HttpError {
    const { origin } = this.#options;
    if (origin !== null) {
      const at = `resource_metadata="${origin}${RESOURCE_METADATA}/mcp"`;
      return new OAuthError(401, "invalid_token", [["www-authenticate", `Bearer ${at}`]]);
    }
    return new HttpError(503, "Permission", "agents cannot sign in: no shared address", {
      hint: "Send an access key, or have the server started with the address that others use.",
    });
  }

  get #origin(): string {
    return this.#options.origin ?? "";
  }

  get #resource(): string {
    return `${this.#origin}/mcp`;
  }

  #resourceMetadata(): Response {
    return json(JSON.stringify({
      authorization_servers: [this.#origin],
      bearer_methods_supported: ["header"],
      resource: this.#resource,
    }));
  }

  #serverMetadata(): Response {
    const origin = this.#origin;
    return json(JSON.stringify({
      issuer: origin,
      authorization_endpoint: `${origin}/oauth/authorize`,
      token_endpoint: `${origin}/oauth/token`,
      registration_endpoint: `${origin}/oauth/register`,
      revocation_endpoint: `${origin}/oauth/revoke`,
      response_types_supported: ["code"],
      grant_types_supported: ["authorization_code", "refresh_token"],
      code_challenge_methods_supported: ["S256"],
      token_endpoint_auth_methods_supported: ["none"],
      authorization_response_iss_parameter_supported: true,
    }));
  }

  /** Counts a registration or an approval page. */
  #count(request: Request): void {
    const address = peerOf(request);
    const wait = this.#starts.wait(address);
    if (wait > 0) throw tooMany(wait);
    this.#starts.failed(address);
  }

  async #register(request: Request, bodies: BodyReader): Promise<Response> {
    // Read the body first: over HTTP/2 the response could be lost otherwise.
    let read: Awaited<ReturnType<typeof readRegistration>>;
    try {
      read = await readRegistration(request, bodies);
    } finally {
      this.#count(request);
    }
    const { id, name, redirect_uris } = this.#options.store.register(read);
    const answer = {
      client_id: id,
      client_name: name,
      redirect_uris,
      token_endpoint_auth_method: "none",
    };
    return json(JSON.stringify(answer), [], 201);
  }

  /** Shows the page. Errors are never redirected: the callback may be an attacker's. */
  #authorize(request: Request): Response {
    this.#count(request);
    const query = new Parameters(searchOf(request.url), "resource");
    const client = this.#options.store.client(query.need("client_id"));
    if (client === null) throw new OAuthError(400, "invalid_client");
    const redirectUri = query.need("redirect_uri");
    const challenge = query.need("code_challenge");
    const state = query.get("state");
    const resources = query.all("resource");
    const good = query.get("response_type") === "code" &&
      client.redirect_uris.includes(redirectUri) &&
      query.get("code_challenge_method") === "S256" &&
      /^[A-Za-z0-9_-]{43}$/.test(challenge) &&
      (state === null || state.length <= LONGEST_STATE) &&
      resources.length > 0 && resources.every((one) => one === this.#resource);
    if (!good) throw invalidRequest();
    const resource = this.#resource;
    const wanted = { clientId: client.id, redirectUri, challenge, resource, state };
    const opened = this.#pending.open(wanted, peerOf(request));
    const page = approvalPage({
      request: opened.request,
      clientName: client.name,
      resource,
      redirectUri,
    });
    return new Response(page, {
      headers: [
        ["content-type", "text/html; charset=utf-8"],
        ...BASE_HEADERS,
        ["content-security-policy", approvalPolicy()],
        ["set-cookie", `${COOKIE}=${opened.cookie}; ${COOKIE_ATTRIBUTES}; Max-Age=${PENDING_LIFE}`],
      ],
    });
  }

  async #approve(request: Request, bodies: BodyReader): Promise<Response> {
    const form = await readForm(request, bodies);
    if (request.headers.get("origin") !== this.#origin) {
      throw new OAuthError(403, "invalid_request");
    }
    const { keys, store, limit, fingerprint } = this.#options;
    const address = peerOf(request);
    const wait = limit.wait(address);
    if (wait > 0) throw tooMany(wait);
    const pending = this.#pending.take(form.need("request"));
    if (pending === null) throw invalidRequest();
    if (!cookiesOf(request, COOKIE).some((one) => equalSecrets(one, pending.cookie))) {
      throw new OAuthError(403, "invalid_request");
    }
    const { redirectUri, state } = pending;
    const decision = form.get("decision");
    if (decision === "deny") return this.#redirect(redirectUri, "error=access_denied", state);
    if (decision !== "approve") throw invalidRequest();
    const key = keys.match((form.get("access_key") ?? "").trim(), fingerprint);
    if (key === null) {
      limit.failed(address);
      throw new OAuthError(401, "access_denied");
    }
    if (store.client(pending.clientId) === null) throw new OAuthError(400, "invalid_client");
    const code = store.approve(pending, key);
    return this.#redirect(redirectUri, `code=${code}`, state, [
      ["set-cookie", `${COOKIE}=; ${COOKIE_ATTRIBUTES}; Max-Age=0`],
    ]);
  }

  #redirect(
    uri: string,
    result: string,
    state: string | null,
    more: HeaderPairs = [],
  ): Response {
    const parts = [result, `iss=${encodeURIComponent(this.#origin)}`];
    if (state !== null) parts.push(`state=${encodeURIComponent(state)}`);
    const location = `${uri}${uri.includes("?") ? "&" : "?"}${parts.join("&")}`;
    return new Response(null, {
      status: 303,
      headers: [...BASE_HEADERS, ["location", location], ...more],
    });
  }

  async #token(request: Request, bodies: BodyReader): Promise<Response> {
    const form = await readForm(request, bodies);
    switch (form.need("grant_type")) {
      case "authorization_code":
        return tokensAnswer(this.#exchange(form));
      case "refresh_token":
        return tokensAnswer(this.#refresh(form));
      default:
        throw new OAuthError(400, "unsupported_grant_type");
    }
  }

  #exchange(form: Parameters): Tokens {
    const { store } = this.#options;
    const clientId = form.need("client_id");
    const code = form.need("code");
    const redirectUri = form.need("redirect_uri");
    const verifier = form.need("code_verifier");
    this.#requireResource(form);
    const entry = store.takeCode(code);
    const challenge = sha256(new TextEncoder().encode(verifier))
      .toBase64({ alphabet: "base64url", omitPadding: true });
    const good = entry !== null && entry.client_id === clientId &&
      entry.redirect_uri === redirectUri && equalSecrets(challenge, entry.challenge) &&
      entry.resource === this.#resource && store.client(clientId) !== null;
    if (!good) throw new OAuthError(400, "invalid_grant");
    return store.grant(entry);
  }

  #refresh(form: Parameters): Tokens {
    const clientId = form.need("client_id");
    const token = form.need("refresh_token");
    this.#requireResource(form);
    return this.#options.store.refresh(token, clientId, this.#resource);
  }

  #requireResource(form: Parameters): void {
    if (form.get("resource") !== this.#resource) throw new OAuthError(400, "invalid_target");
  }

  async #revoke(request: Request, bodies: BodyReader): Promise<Response> {
    const form = await readForm(request, bodies);
    this.#options.store.revoke(form.get("token") ?? "", form.get("client_id") ?? "");
    return new Response(null, { status: 200, headers: BASE_HEADERS });
  }
}

function tokensAnswer({ access, refresh }: Tokens): Response {
  const answer = {
    access_token: access,
    token_type: "Bearer",
    expires_in: TOKEN_LIFE,
    refresh_token: refresh,
  };
  return json(JSON.stringify(answer), [["pragma", "no-cache"]]);
}

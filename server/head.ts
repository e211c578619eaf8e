/**
 * HEAD: what GET would answer, without the body and with the same length.
 *
 * @module
 */

/** Requests that came as HEAD and are routed as GET. */
const heads = new WeakSet<Request>();

/** The request as the router sees it: the path must stay as it was sent, so it is no copy. */
export function routedAsGet(request: Request): Request {
  heads.add(request);
  return Object.defineProperty(request, "method", { value: "GET" });
}

/** Whether a request came as HEAD. */
export function isHead(request: Request): boolean {
  return heads.has(request);
}

/** Answers to HEAD for what GET answers with a stream. */
const streams = new WeakSet<Response>();

/** The answer to HEAD for a stream: without a length, as the stream itself has none. */
export function streamHead(status: number, headers: HeadersInit): Response {
  const answer = new Response(null, { status, headers });
  streams.add(answer);
  return answer;
}

/** The answer to HEAD, from the one to GET. */
export async function withoutBody(answer: Response): Promise<Response> {
  const { body, status, headers } = answer;
  if (body === null) return answer;
  if (headers.has("content-encoding")) {
    await body.cancel();
    return streamHead(status, headers);
  }
  const same = new Headers(headers);
  same.set("content-length", String((await answer.arrayBuffer()).byteLength));
  return new Response(null, { status, headers: same });
}

/** For `Deno.serve`, which says that an answer without a body has the length 0. */
export async function headOnWire(answer: Promise<Response>): Promise<Response> {
  const head = await answer;
  if (!streams.has(head)) return head;
  const { status, headers } = head;
  const body = new ReadableStream({ start: (controller) => controller.close() });
  return new Response(body, { status, headers });
}

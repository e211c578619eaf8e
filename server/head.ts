/**
 * HEAD requests: the response of GET without its body, but with its length.
 *
 * @module
 */

/** HEAD requests, which are routed as GET. */
const heads = new WeakSet<Request>();

/** Marks a request; it is not copied, because its path must stay as it was sent. */
export function routedAsGet(request: Request): Request {
  heads.add(request);
  return Object.defineProperty(request, "method", { value: "GET" });
}

/** Whether a request is a HEAD request. */
export function isHead(request: Request): boolean {
  return heads.has(request);
}

/** Responses to HEAD where GET would return a stream. */
const streams = new WeakSet<Response>();

/** The response to HEAD for a stream, which has no length. */
export function streamHead(status: number, headers: HeadersInit): Response {
  const answer = new Response(null, { status, headers });
  streams.add(answer);
  return answer;
}

/** Turns the response to GET into the one to HEAD. */
export async function withoutBody(answer: Response): Promise<Response> {
  const { body, status, headers } = answer;
  if (body === null) return answer;
  if (headers.has("content-encoding") && !headers.has("content-length")) {
    await body.cancel();
    return streamHead(status, headers);
  }
  const same = new Headers(headers);
  same.set("content-length", String((await answer.arrayBuffer()).byteLength));
  return new Response(null, { status, headers: same });
}

/** For `Deno.serve`, which would report a length of 0 for a response without a body. */
export async function headOnWire(answer: Promise<Response>): Promise<Response> {
  const head = await answer;
  if (!streams.has(head)) return head;
  const { status, headers } = head;
  const body = new ReadableStream({ start: (controller) => controller.close() });
  return new Response(body, { status, headers });
}

/**
 * The lines of a long computation as the body of a response: nothing is computed ahead of the
 * client, and every way to end runs the same clean-up.
 *
 * @module
 */

import { startTimer } from "../lib/timers.ts";
import { LINES } from "./encodings.ts";
import { busy } from "./errors.ts";
import { isHead, streamHead } from "./head.ts";
import type { Call, RouteHost } from "./routes/route.ts";

/** Yields lines without their line breaks; ends early when the signal is aborted. */
export type Lines = (signal: AbortSignal) => AsyncGenerator<string, void, void>;

/**
 * The response with the lines. It takes the place of a stream (docs/spec/http-api.md 6), and ends
 * when the server stops, when its caller may no longer read, and after the longest time of a
 * stream. What fails before the first line has a status; later failures are the last line.
 *
 * @throws {HttpError} 423 if there are too many streams
 */
export async function linesStream(
  { request, grant }: Call,
  host: RouteHost,
  lines: Lines,
): Promise<Response> {
  const { headers } = LINES;
  if (isHead(request)) return streamHead(200, headers);
  if (!host.tails.take()) throw busy("too many concurrent tail requests");
  const over = new AbortController();
  const { ended } = grant;
  const signals = [over.signal, host.stopping, ...(ended === undefined ? [] : [ended])];
  const signal = AbortSignal.any(signals);
  const limit = startTimer(() => over.abort(), host.maxTailTimeoutMs + host.readerGraceMs);
  host.metrics.open++;
  host.metrics.streams++;
  const release = (): void => {
    clearTimeout(limit);
    host.metrics.open--;
    host.tails.release();
  };
  const steps = lines(signal);
  let first: IteratorResult<string, void> | null;
  try {
    first = await steps.next();
  } catch (error) {
    release();
    throw error;
  }
  const encoder = new TextEncoder();
  let isOver = false;
  const finish = (controller: ReadableStreamDefaultController<Uint8Array> | null): void => {
    if (isOver) return;
    isOver = true;
    signal.removeEventListener("abort", abort);
    release();
    controller?.close();
    over.abort();
    // Runs its clean-up, if it has not run to its end.
    steps.return().catch((error) => host.fault(error));
  };
  let held: ReadableStreamDefaultController<Uint8Array> | null = null;
  const abort = (): void => finish(held);
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      held = controller;
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort, { once: true });
    },
    pull: async (controller) => {
      try {
        const step = first ?? await steps.next();
        first = null;
        if (isOver) return;
        if (step.done === true) return finish(controller);
        controller.enqueue(encoder.encode(`${step.value}\n`));
      } catch (error) {
        if (isOver) return;
        controller.enqueue(encoder.encode(LINES.failure(error) ?? ""));
        finish(controller);
      }
    },
    cancel: () => finish(null),
  }, { highWaterMark: 0 });
  return new Response(body, { headers });
}

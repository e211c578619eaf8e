/**
 * The system's own `poll`, for what Deno does not tell about stdout.
 *
 * @module
 */

import { isGranted } from "../environment.ts";

const LIBRARIES: Partial<Record<typeof Deno.build.os, string>> = {
  linux: "libc.so.6",
  darwin: "libSystem.B.dylib",
};
const STDOUT = 1;
/** POLLERR and POLLHUP: a pipe or a socket that nobody reads. */
const GONE = 0x08 | 0x10;
/** POLLOUT: what is written atomically fits. */
const ROOM = 0x04;

/** Tells whether the reader of stdout has gone; null where that cannot be told without asking. */
export function stdoutPoll(): (() => boolean) | null {
  const poll = open(0);
  return poll && (() => (poll() & GONE) !== 0);
}

/** How long a reader may take to make room, in milliseconds; too short to notice. */
const MOMENT = 5;

/**
 * Tells whether a short write to stdout would not wait; null where that cannot be told. Waits a
 * moment for a reader that is busy with what it got.
 */
export function stdoutRoom(): (() => boolean) | null {
  const poll = open(ROOM, MOMENT);
  return poll && (() => poll() === ROOM);
}

/** Returns what `poll` says of stdout: those of `events` that hold, and what is wrong. */
function open(events: number, ms = 0): (() => number) | null {
  const library = LIBRARIES[Deno.build.os];
  if (library === undefined || !isGranted({ name: "ffi", path: library })) return null;
  let poll: (fds: BufferSource, count: bigint, ms: number) => number;
  try {
    poll = Deno.dlopen(library, {
      poll: { parameters: ["buffer", "usize", "i32"], result: "i32" },
    }).symbols.poll;
  } catch {
    return null; // Another libc than the usual one.
  }
  // struct pollfd { int fd; short events; short revents; }
  const fds = new DataView(new ArrayBuffer(8));
  fds.setInt32(0, STDOUT, true);
  fds.setInt16(4, events, true);
  return () => poll(fds, 1n, ms) > 0 ? fds.getInt16(6, true) : 0;
}

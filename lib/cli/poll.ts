/**
 * The system call `poll`, for facts about stdout that Deno does not provide.
 *
 * @module
 */

import { isGranted } from "../environment.ts";

const LIBRARIES: Partial<Record<typeof Deno.build.os, string>> = {
  linux: "libc.so.6",
  darwin: "libSystem.B.dylib",
};
const STDOUT = 1;
/** POLLERR and POLLHUP: a pipe or a socket whose reader is gone. */
const GONE = 0x08 | 0x10;
/** POLLOUT: an atomic write would fit. */
const ROOM = 0x04;

/** Checks whether the reader of stdout is gone; null without permission to ask. */
export function stdoutPoll(): (() => boolean) | null {
  const poll = open(0);
  return poll && (() => (poll() & GONE) !== 0);
}

/** How long a reader may take to make room, in milliseconds; too short to notice. */
const MOMENT = 5;

/**
 * Checks whether a short write to stdout would not block; null if unknown. Waits a moment for a
 * busy reader.
 */
export function stdoutRoom(): (() => boolean) | null {
  const poll = open(ROOM, MOMENT);
  return poll && (() => poll() === ROOM);
}

/** Polls stdout for events and errors. */
function open(events: number, ms = 0): (() => number) | null {
  const library = LIBRARIES[Deno.build.os];
  if (library === undefined || !isGranted({ name: "ffi", path: library })) return null;
  let poll: (fds: BufferSource, count: bigint, ms: number) => number;
  try {
    poll = Deno.dlopen(library, {
      poll: { parameters: ["buffer", "usize", "i32"], result: "i32" },
    }).symbols.poll;
  } catch {
    return null; // An unusual libc.
  }
  // struct pollfd { int fd; short events; short revents; }
  const fds = new DataView(new ArrayBuffer(8));
  fds.setInt32(0, STDOUT, true);
  fds.setInt16(4, events, true);
  return () => poll(fds, 1n, ms) > 0 ? fds.getInt16(6, true) : 0;
}

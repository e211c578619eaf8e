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

/** Tells whether the reader of stdout has gone; null where that cannot be told without asking. */
export function stdoutPoll(): (() => boolean) | null {
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
  return () => poll(fds, 1n, 0) > 0 && (fds.getInt16(6, true) & GONE) !== 0;
}

/**
 * The limits of a small machine, as far as they can be had without a kernel's control groups.
 *
 * @module
 */

import type { ServeOptions } from "../curves/serve.ts";

/** One core: a program before Deno, and its arguments. */
export const PI_STARTER: readonly string[] = ["taskset", "-c", "0"];

/** 64 MB for the heap of V8: with less of it for what lives long, it ends the process. */
export const PI_FLAGS: readonly string[] = ["--v8-flags=--max-old-space-size=64"];

/** Both, for a server. */
export const LIMITS: ServeOptions = { through: PI_STARTER, v8: PI_FLAGS };

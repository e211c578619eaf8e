/**
 * All routes.
 *
 * @module
 */

import { ACCESS_ROUTES } from "./access.ts";
import { MESSAGE_ROUTES } from "./messages.ts";
import { POOL_ROUTES } from "./pools.ts";
import type { Route } from "./route.ts";
import { SERVICE_ROUTES } from "./service.ts";
import { STREAM_ROUTES } from "./streams.ts";

/** The routes, in the order in which they are matched. */
export const ROUTES: readonly Route[] = [
  ...SERVICE_ROUTES,
  ...ACCESS_ROUTES,
  ...POOL_ROUTES,
  ...MESSAGE_ROUTES,
  ...STREAM_ROUTES,
];

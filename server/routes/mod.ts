/**
 * All routes.
 *
 * @module
 */

import { ACCESS_ROUTES } from "./access.ts";
import { BUNDLE_ROUTES } from "./bundles.ts";
import { CLAIM_ROUTES } from "./claims.ts";
import { CURSOR_ROUTES } from "./cursors.ts";
import { GROUP_ROUTES } from "./groups.ts";
import { HISTOGRAM_ROUTES } from "./histogram.ts";
import { LATEST_ROUTES } from "./latest.ts";
import { BROWSER_ROUTES } from "./browser.ts";
import { MESSAGE_ROUTES } from "./messages.ts";
import { POOL_ROUTES } from "./pools.ts";
import type { Route } from "./route.ts";
import { SEARCH_ROUTES } from "./search.ts";
import { SERVICE_ROUTES } from "./service.ts";
import { STREAM_ROUTES } from "./streams.ts";

/** The routes, in the order in which they are matched. */
export const ROUTES: readonly Route[] = [
  ...SERVICE_ROUTES,
  ...ACCESS_ROUTES,
  ...BROWSER_ROUTES,
  ...POOL_ROUTES,
  ...MESSAGE_ROUTES,
  ...STREAM_ROUTES,
  ...BUNDLE_ROUTES,
  ...HISTOGRAM_ROUTES,
  ...SEARCH_ROUTES,
  ...LATEST_ROUTES,
  ...CLAIM_ROUTES,
  ...CURSOR_ROUTES,
  ...GROUP_ROUTES,
];

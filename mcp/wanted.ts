/**
 * The parameters of a `subscriptions/listen` request (revision of 2026-07-28). The SDK answers and
 * filters it, but we have to watch the resources.
 *
 * @module
 */

/** The resources to watch. */
export interface Listening {
  /** Exact URIs. */
  readonly uris: readonly string[];
  /** Whether to watch the list of pools. */
  readonly list: boolean;
}

/** Reads the parameters of a listen request. */
export function wantedBy(params: { readonly [key: string]: unknown } | undefined): Listening {
  const filter = params?.["notifications"];
  if (filter === null || typeof filter !== "object") return { uris: [], list: false };
  const { resourceSubscriptions: uris, resourcesListChanged: list } = filter as {
    readonly [key: string]: unknown;
  };
  return {
    uris: Array.isArray(uris) ? uris.filter((uri) => typeof uri === "string") : [],
    list: list === true,
  };
}

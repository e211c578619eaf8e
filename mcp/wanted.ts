/**
 * What a `subscriptions/listen` request of the revision of 2026-07-28 asks for. The SDK answers and
 * filters it, but what is to be watched for it is our business.
 *
 * @module
 */

/** The resources to watch, and whether the list of them counts. */
export interface Listening {
  /** Exact URIs. */
  readonly uris: readonly string[];
  /** Whether pools that come and go count. */
  readonly list: boolean;
}

/** What a listen request asks for. */
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

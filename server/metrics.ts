/**
 * The counters of a server, as OpenMetrics text.
 *
 * @module
 */

import type { Grant } from "../lib/types.ts";
import { type Directory, newestOf } from "./lists.ts";

/** Values that are read when the counters are requested. */
export interface Measured extends Directory {
  /** Request bodies. */
  readonly bodies: {
    /** The memory in use, in bytes. */
    readonly taken: number;
  };
  /** The number of calls on pools in progress. */
  calls(): number;
}

/** Counters of one server. */
export class Metrics {
  /** Messages appended. */
  appended = 0;
  /** Messages sent to streams. */
  delivered = 0;
  /** Streams opened. */
  streams = 0;
  /** Streams open now. */
  open = 0;
  /** Calls that wait now, for a task or a lease. */
  waits = 0;
  readonly #requests = new Map<string, Map<number, number>>();
  readonly #since: number;

  /** @param since when the server started, in milliseconds since 1970 */
  constructor(since: number = Date.now()) {
    this.#since = since / 1000;
  }

  /** Counts one request. */
  request(method: string, status: number): void {
    // The method is chosen by the client: only known ones become labels.
    const known = method === "GET" || method === "POST" || method === "PUT" ||
      method === "DELETE" || method === "HEAD" || method === "OPTIONS";
    const key = known ? method : "other";
    let counts = this.#requests.get(key);
    if (counts === undefined) this.#requests.set(key, counts = new Map());
    counts.set(status, (counts.get(status) ?? 0) + 1);
  }

  /**
   * Prints the counters.
   *
   * @param grant the rights of the caller; pools that it may not read are left out
   */
  async text(server: Measured, grant: Grant): Promise<string> {
    const newest: string[] = [];
    for await (const [name, seq] of newestOf(server.backend, grant)) {
      newest.push(`plasmite_pool_newest_seq{pool="${escape(name)}"} ${seq}`);
    }
    const lines: string[] = [];
    const family = (name: string, type: string, help: string, unit = ""): void => {
      lines.push(`# TYPE ${name} ${type}`);
      if (unit !== "") lines.push(`# UNIT ${name} ${unit}`);
      lines.push(`# HELP ${name} ${help}`);
    };
    family("plasmite_http_requests", "counter", "Requests answered.");
    for (const [method, counts] of this.#requests) {
      for (const [status, count] of counts) {
        lines.push(`plasmite_http_requests_total{method="${method}",code="${status}"} ${count}`);
      }
    }
    family("plasmite_messages_appended", "counter", "Messages appended by this server.");
    lines.push(`plasmite_messages_appended_total ${this.appended}`);
    family("plasmite_messages_streamed", "counter", "Messages sent to streams.");
    lines.push(`plasmite_messages_streamed_total ${this.delivered}`);
    family("plasmite_streams_opened", "counter", "Streams opened.");
    lines.push(`plasmite_streams_opened_total ${this.streams}`);
    family("plasmite_streams", "gauge", "Streams open now.");
    lines.push(`plasmite_streams ${this.open}`);
    family("plasmite_waits", "gauge", "Calls that wait for a task or a lease.");
    lines.push(`plasmite_waits ${this.waits}`);
    family("plasmite_storage_calls", "gauge", "Storage calls under way.");
    lines.push(`plasmite_storage_calls ${server.calls()}`);
    family("plasmite_request_body_bytes", "gauge", "Memory that request bodies take.", "bytes");
    lines.push(`plasmite_request_body_bytes ${server.bodies.taken}`);
    family("plasmite_start_time_seconds", "gauge", "When the server started.", "seconds");
    lines.push(`plasmite_start_time_seconds ${this.#since}`);
    family("plasmite_pool_newest_seq", "gauge", "Newest sequence number of a pool.");
    return [...lines, ...newest, "# EOF", ""].join("\n");
  }
}

function escape(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

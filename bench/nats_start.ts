/** The start-up that any program of the client library has: `deno run -A bench/nats_start.ts ADDRESS`. */
import { connect } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";

const nc = await connect({ servers: Deno.args[0] ?? "" });
await (await jetstreamManager(nc)).streams.info("P");
await nc.close();

// deno-lint-ignore-file no-console
/**
 * The yardstick for wake-ups: a bare `Deno.watchFs` loop that reads the newest frame's time without
 * any checks. Prints the delay of each message in microseconds.
 *
 * @module
 */

const [path = "", count = "0"] = Deno.args;
const link = Deno.makeTempFileSync();
Deno.removeSync(link);
Deno.symlinkSync(path, link);
const watcher = Deno.watchFs([link], { recursive: false });
Deno.removeSync(link);
const file = Deno.openSync(path);
const state = new DataView(new ArrayBuffer(104));
const frame = new DataView(new ArrayBuffer(64));
function read(view: DataView<ArrayBuffer>, at: number): void {
  file.seekSync(at, Deno.SeekMode.Start);
  file.readSync(new Uint8Array(view.buffer));
}
read(state, 0);
const ring = Number(state.getBigUint64(40, true));
let newest = state.getBigUint64(96, true);
let head = Number(state.getBigUint64(64, true));
const delays: number[] = [];
console.log("ready");
for await (const _event of watcher) {
  read(state, 0);
  if (state.getBigUint64(96, true) !== newest) {
    read(frame, ring + head);
    const now = Temporal.Now.instant().epochNanoseconds;
    delays.push(Number(now - frame.getBigUint64(24, true)) / 1000);
    newest = state.getBigUint64(96, true);
    head = Number(state.getBigUint64(64, true));
  }
  if (newest >= BigInt(count)) break;
}
console.log(JSON.stringify(delays));
Deno.exit(0);

/**
 * Run by other_systems_test.ts under other_system.ts: what pure functions and fakes of the system's
 * calls say, as JSON.
 *
 * @module
 */

const { accessFolder, secure } = await import("../../lib/access/folder.ts");
const { defaultPoolDir, isPathRef } = await import("../../lib/backend/refs.ts");
const { nameProblem } = await import("../../lib/client/names.ts");
const { connect } = await import("../../lib/remote/connect.ts");
const { refuseInvalidArguments } = await import("../../lib/cli/raw_arguments.ts");
const { stdoutPoll } = await import("../../lib/cli/poll.ts");
const { outliveFileSizeLimit } = await import("../../lib/environment.ts");
const { messageOf, PlasmiteError } = await import("../../lib/errors.ts");
const { osError } = await import("../../lib/storage/os_error.ts");
const { semaphorePath } = await import("../../lib/storage/semaphore.ts");
const { linksUnsupported } = await import("../../lib/storage/temporary.ts");
const { watchPool } = await import("../../lib/storage/watch.ts");
const { Client } = await import("../../mod.ts");

const systemError = (number: number): Error => new Error(`Failed (os error ${number})`);

function folders(): Record<string, string> {
  const values: Record<string, string> = { APPDATA: "C:/Users/a/AppData", HOME: "/home/a" };
  return { access: accessFolder((name) => values[name]), pools: defaultPoolDir() };
}

/** The pauses of the timers that are started meanwhile, in milliseconds. */
function pauses(work: () => void): number[] {
  const { timeout } = AbortSignal;
  const all: number[] = [];
  AbortSignal.timeout = (ms) => {
    all.push(ms);
    return timeout.call(AbortSignal, ms);
  };
  work();
  AbortSignal.timeout = timeout;
  return all;
}

function folderOfUrl(url: string): string {
  const client = connect(url);
  if (!(client instanceof Client)) return "";
  using local = client;
  return local.poolDir;
}

/** Whether a pool can be made where temporary names are too long. */
function createsWithLongName(dir: string, number: number): boolean {
  const { openSync } = Deno;
  Deno.openSync = (path, options) => {
    if (String(path).endsWith(".tmp")) throw systemError(number);
    return openSync(path, options);
  };
  try {
    using client = new Client(dir);
    using _pool = client.createPool(`long-${number}`);
    return true;
  } catch {
    return false;
  } finally {
    Deno.openSync = openSync;
  }
}

function signalsOfFileSize(): number {
  const { addSignalListener } = Deno;
  let count = 0;
  Deno.addSignalListener = () => count++;
  outliveFileSizeLimit();
  Deno.addSignalListener = addSignalListener;
  return count;
}

function refusal(word: string): string | null {
  try {
    refuseInvalidArguments([word]);
    return null;
  } catch (error) {
    return PlasmiteError.is(error) ? error.kindName : messageOf(error);
  }
}

const [dir = ""] = Deno.args;
Deno.writeTextFileSync(`${dir}/watched`, "");
Deno.mkdirSync(`${dir}/open`, { mode: 0o755 });
const facts = {
  folders: folders(),
  backslashIsPath: isPathRef("a\\b"),
  refusedNames: ["ab", "a/b", "a\\b", "a:b"].filter((name) => nameProblem(name) !== undefined),
  fileUrl: folderOfUrl("file:///C:/pools"),
  noLinks: [...Array(1200).keys()].filter((number) => linksUnsupported(systemError(number))),
  hints: [...Array(1300).keys()].filter((number) => osError(systemError(number), {}).hint),
  secured: secure(`${dir}/open`, "folder"),
  semaphore: semaphorePath(`${dir}/watched`),
  ticks: pauses(() => {
    const watch = watchPool(`${dir}/watched`);
    watch.begin?.();
    watch.close();
  }),
  longName: [36, 63, 206].filter((number) => createsWithLongName(dir, number)),
  fileSizeSignals: signalsOfFileSize(),
  invalidArgument: refusal("\ufffd"),
  stdoutPoll: stdoutPoll() === null,
};
await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(facts)));

/**
 * A chat on a terminal: messages do not break up the line being typed, and the state of the
 * terminal is restored however the chat ends (docs/spec/command-line.md 1.9, 6).
 *
 * @module
 */

import { messageFromValue } from "../lite3/from_value.ts";
import type { PoolHandle } from "../backend/types.ts";
import { FrameBatch } from "../pool/batch.ts";
import { nowNs } from "../text/time.ts";
import { visible } from "../visible.ts";
import type { CommandContext } from "./context.ts";
import type { Screen } from "./duplex.ts";
import { LineEditor } from "./duplex_editor.ts";
import { readStdin, type Sender, storeAll } from "./duplex_send.ts";
import { charWidth, textWidth } from "./line_width.ts";
import { consoleSize, Terminal, typed } from "./terminal.ts";

const CLEAR = "\r\x1b[K";

/** One chat session. */
export class Chat implements Screen {
  readonly #context: CommandContext;
  readonly #pool: PoolHandle;
  readonly #me: string;
  readonly #editor = new LineEditor();
  readonly #batch = new FrameBatch(1024);
  /** Whether to edit lines; without two terminals the kernel does it. */
  readonly #editing: boolean;
  #terminal: Terminal | null = null;
  #shown = false;
  #typing = false;
  #last = 0n;

  /** Creates a session of `me`. */
  constructor(context: CommandContext, pool: PoolHandle, me: string) {
    this.#context = context;
    this.#pool = pool;
    this.#me = me;
    this.#editing = context.stdout.isTerminal;
  }

  /** Starts reading lines. */
  run(): Sender {
    return { ended: this.#editing ? this.#edit() : this.#plain(), last: () => this.#last };
  }

  /** Restores the terminal. */
  close(): void {
    this.hide();
    this.#typing = false;
    this.#terminal?.close();
    this.#terminal = null;
  }

  /** @inheritdoc */
  hide(): void {
    if (!this.#shown) return;
    this.#shown = false;
    this.#context.stdout.text(CLEAR);
  }

  /** @inheritdoc */
  show(): void {
    if (!this.#typing) return;
    this.#shown = true;
    const columns = consoleSize().columns;
    const prompt = this.#prompt(columns);
    const { text, cursor } = this.#editor;
    const before = fitEnd(shown(text.slice(0, cursor)), columns - textWidth(prompt) - 2);
    const left = textWidth(prompt) + textWidth(before);
    const after = fitStart(shown(text.slice(cursor)), columns - left - 1);
    const back = textWidth(after);
    this.#context.stdout.text(
      `${CLEAR}${prompt}${before}${after}${back > 0 ? `\x1b[${back}D` : ""}`,
    );
  }

  #prompt(columns: number): string {
    const prompt = `${visible(this.#me)}> `;
    return textWidth(prompt) * 2 > columns ? "> " : prompt;
  }

  /** Reads keys. */
  async #edit(): Promise<void> {
    this.#terminal = new Terminal({
      leave: () => this.hide(),
      enter: () => this.show(),
      resized: () => {
        if (this.#shown) this.show();
      },
    });
    this.#typing = true;
    this.show();
    try {
      for await (const text of typed()) {
        for (const outcome of this.#editor.type(text)) {
          if (outcome.kind === "end") return;
          // The whole line stays on the screen.
          this.hide();
          this.#context.stdout.text(
            `${this.#prompt(consoleSize().columns)}${shown(outcome.text)}\n`,
          );
          await this.#send(outcome.text);
        }
        this.show();
      }
    } finally {
      this.hide();
      this.#typing = false;
    }
  }

  /** Reads lines edited by the kernel. */
  async #plain(): Promise<void> {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(4096);
    let rest = "";
    for (let n = await readStdin(buffer); n !== null; n = await readStdin(buffer)) {
      const lines = (rest + decoder.decode(buffer.subarray(0, n), { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) await this.#send(line);
    }
    await this.#send(rest);
  }

  async #send(line: string): Promise<void> {
    const msg = line.replace(/[\r\n]+$/, "");
    if (msg.trim() === "") return;
    const batch = this.#batch;
    batch.clear();
    batch.beginFrame();
    try {
      messageFromValue(batch.encoder, { from: this.#me, msg }, []);
    } catch (error) {
      batch.abortFrame();
      throw error;
    }
    const now = nowNs();
    batch.endFrame(Number(now & 0xffff_ffffn), Number(now >> 32n));
    this.#last = await storeAll(this.#pool, batch) || this.#last;
  }
}

/** Typed text for display: tabs as spaces, control characters escaped. */
function shown(text: string): string {
  return visible(text.replaceAll("\t", " "));
}

/** The longest end of a text that fits. */
function fitEnd(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text;
  const chars = [...text];
  let width = 1;
  let from = chars.length;
  while (from > 0) {
    const next = charWidth(chars[from - 1] ?? "");
    if (width + next > columns) break;
    width += next;
    from--;
  }
  return `…${chars.slice(from).join("")}`;
}

/** The longest beginning of a text that fits. */
function fitStart(text: string, columns: number): string {
  let width = 0;
  let fitting = "";
  for (const char of text) {
    width += charWidth(char);
    if (width > columns) break;
    fitting += char;
  }
  return fitting;
}

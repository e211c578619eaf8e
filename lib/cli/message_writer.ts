/**
 * Prints messages in the requested format (docs/spec/command-line.md 1.12), many in one write.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { PlasmiteError } from "../errors.ts";
import type { MessageView } from "../lite3/message.ts";
import { printJson } from "../lite3/print.ts";
import { printEnvelope } from "../text/envelope.ts";
import type { CommandContext } from "./context.ts";

/** The size at which the buffer is written, in bytes. */
export const WRITE_AT = 128 * 1024;
const NEWLINE = 0x0a;

type Print = (view: MessageView, out: Buf) => void;

/** Collects printed messages and writes them to stdout. */
export class MessageWriter {
  readonly #context: CommandContext;
  readonly #print: Print;
  readonly #out = new Buf(WRITE_AT + 4096);

  private constructor(context: CommandContext, print: Print) {
    this.#context = context;
    this.#print = print;
  }

  /**
   * Loads the code of the format.
   *
   * @param plain the default format: `pretty` documents, one compact line each unless stdout is a
   *   terminal, or the lines of a chat
   * @throws {PlasmiteError} Usage for `--data-only` with a binary format
   */
  static async open(
    context: CommandContext,
    options: { readonly dataOnly: boolean; readonly plain: "pretty" | "document" | "chat" },
  ): Promise<MessageWriter> {
    const { format } = context;
    const { dataOnly } = options;
    const json: Print = dataOnly
      ? (view, out) => printJson(view.doc, view.dataAt, out)
      : (view, out) => printEnvelope(view, out);
    const line: Print = (view, out) => {
      json(view, out);
      out.reserve(1);
      out.dv.setUint8(out.len++, NEWLINE);
    };
    const print = async (): Promise<Print> => {
      switch (format) {
        case "lite3":
        case "lite3-raw":
          return await binary(format, dataOnly);
        case "json":
          return line;
        case "yaml": {
          const { printYaml } = await import("../text/yaml_out.ts");
          return through(json, (text, out) => printYaml(text.u8, 0, text.len, out));
        }
        case "line": {
          const { linePrinter } = await import("./line_format.ts");
          return linePrinter(context, { dataOnly });
        }
      }
      if (options.plain === "chat") {
        const { linePrinter } = await import("./line_format.ts");
        return linePrinter(context, { chat: true });
      }
      const indent = format === "pretty" || (format === undefined && options.plain === "pretty") ||
        context.indented;
      if (!indent) return line;
      const { printPretty } = await import("../text/pretty.ts");
      const { colored } = context;
      return through(json, (text, out) => {
        printPretty(text.u8, 0, text.len, out, colored);
        out.reserve(1);
        out.dv.setUint8(out.len++, NEWLINE);
      });
    };
    return new MessageWriter(context, await print());
  }

  /** Prints one message into the buffer. */
  add(view: MessageView): void {
    this.#print(view, this.#out);
  }

  /** The number of buffered bytes. */
  get size(): number {
    return this.#out.len;
  }

  /** Empties the buffer; the returned bytes are valid until the next message is printed. */
  take(): Uint8Array {
    const bytes = this.#out.bytes();
    this.#out.clear();
    return bytes;
  }

  /** Prints one message; it may be buffered until {@linkcode MessageWriter.flush}. */
  write(view: MessageView): void {
    this.#print(view, this.#out);
    if (this.#out.len >= WRITE_AT) this.flush();
  }

  /** Writes the buffer. */
  flush(): void {
    if (this.#out.len === 0) return;
    try {
      const { format, stdout } = this.#context;
      if (format === "lite3" || format === "lite3-raw") stdout.writeBinary(this.#out.bytes());
      else stdout.write(this.#out.bytes());
    } finally {
      this.#out.clear();
    }
  }
}

/** Prints via compact JSON text. */
function through(json: Print, print: (text: Buf, out: Buf) => void): Print {
  const text = new Buf();
  return (view, out) => {
    text.clear();
    json(view, text);
    print(text, out);
  };
}

async function binary(format: "lite3" | "lite3-raw", dataOnly: boolean): Promise<Print> {
  if (dataOnly) {
    throw new PlasmiteError("Usage", "--data-only cannot be combined with binary output", {
      hint: "Use --format json for data alone.",
    });
  }
  if (format === "lite3-raw") {
    return ({ doc: { u8, base, len } }, out) => {
      out.reserve(len);
      out.u8.set(u8.subarray(base, base + len), out.len);
      out.len += len;
    };
  }
  const { FrameStreamWriter } = await import("../text/frames.ts");
  let writer: InstanceType<typeof FrameStreamWriter> | undefined;
  return (view, out) => {
    writer ??= new FrameStreamWriter(out);
    const { doc, seqLo, seqHi, timeLo, timeHi } = view;
    writer.message(seqLo, seqHi, timeLo, timeHi, doc.u8, doc.base, doc.len);
  };
}

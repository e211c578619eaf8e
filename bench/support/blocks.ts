/**
 * Parts of documents that a script writes, between two comments.
 *
 * @module
 */

/** Replaces what stands between `<!-- begin NAME -->` and `<!-- end NAME -->`. */
export function replaceBlock(text: string, name: string, block: string): string {
  const begin = `<!-- begin ${name} -->`;
  const end = `<!-- end ${name} -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`No place for ${name} in the document`);
  return `${text.slice(0, from + begin.length)}\n\n${block.trim()}\n\n${text.slice(to)}`;
}

/** A table in Markdown; `deno fmt` aligns it. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

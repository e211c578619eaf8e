/**
 * Packs: modules that pages load together come in one file, because a browser spends more time on a
 * request than on what it fetches. Which file a module comes in depends on the views that reach it,
 * so that no view loads what it does not need, and no module is there twice: under its own name there
 * is a module that hands on what is in the pack, for those that come later.
 *
 * In a pack each module is a block, and what it exports are variables outside of it, so a module may
 * neither change what it exports nor be imported in a circle.
 *
 * @module
 */

/** Modules by name, and what they are. */
export type Scripts = Readonly<Record<string, string>>;

/**
 * A script without the comments that have lines of their own, a sixth of the page. The lines stay, so
 * that positions in errors are those of the source, or of its block.
 */
export function lean(script: string): string {
  const comments = /^ *\/\*\*(?:(?!\*\/)[^])*\*\/$|^ *\/\/ .*$/gm;
  return script.replaceAll(comments, (comment) => comment.replaceAll(/[^\n]+/g, ""));
}

/**
 * A script that asks a second time for parts that did not come, under another address: Firefox keeps
 * what failed under the first one for as long as the document is shown.
 */
export function withSecondTry(script: string): string {
  return script.replaceAll(
    /\bimport\("\.\/(\w+)\.js"\)/g,
    (first, name) => `${first}.catch(() => import("./${name}.js?again=" + Date.now()))`,
  );
}

/**
 * A script under another address, which asks for what it imports under others as well, except for
 * what is there already because every page starts with it or would fail without it: packs, and the
 * module that they leave out.
 */
export function underOtherAddress(script: string, again: string): string {
  return script.replaceAll(
    / from "\.\/(?!with_|early\.)(\w+)\.js";$/gm,
    (_, name) => ` from "./${name}.js?again=${again}";`,
  );
}

const IMPORT = /^import \{([^}]*)\} from "\.\/(\w+)\.js";$/gm;
const EXPORT = /^export ((?:async )?function\*?|class|const) (\w+)/gm;
const LIST = /^export \{([^}]*)\}(?: from "\.\/(\w+)\.js")?;$/gm;

/** The names in braces, inside and outside. */
function namesIn(list: string): [from: string, to: string][] {
  return list.split(",").map((one) => one.trim()).filter((one) => one !== "").map((one) => {
    const [from = "", to = from] = one.split(" as ");
    return [from, to];
  });
}

/** The modules that a script imports at its start. */
export function importsOf(script: string): string[] {
  return [...script.matchAll(/ from "\.\/(\w+)\.js";$/gm)].map(([, name = ""]) => name);
}

/** What a module exports: the name, and the variable that it is in its own block. */
function exportsOf(module: string, script: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, , name = ""] of script.matchAll(EXPORT)) found.set(name, name);
  for (const [, list = "", from] of script.matchAll(LIST)) {
    for (const [inside, outside] of namesIn(list)) {
      found.set(outside, from === undefined ? inside : `${from}$${inside}`);
    }
  }
  const rest = script.replaceAll(EXPORT, "").replaceAll(LIST, "").replaceAll(IMPORT, "");
  const odd = /^(?:export|import)\b(?!\().*$/m.exec(rest);
  if (odd !== null) throw new Error(`${module}.js: no pack can hold "${odd[0]}"`);
  return found;
}

/** Other lines, of the same number. */
const replaced = (lines: string, by: string): string => by + lines.replaceAll(/[^\n]+/g, "");

/** A module as a block. */
function blockOf(module: string, script: string): string {
  const body = script
    .replaceAll(IMPORT, (all, list: string, from: string) => {
      const names = namesIn(list).map(([inside, outside]) => `${outside} = ${from}$${inside}`);
      return replaced(all, `const ${names.join(", ")};`);
    })
    .replaceAll(LIST, (all) => replaced(all, ""))
    .replaceAll(EXPORT, "$1 $2");
  const out = [...exportsOf(module, script)].map(([name, inside]) =>
    `${module}$${name} = ${inside};`
  );
  return `{\n${body}\n${out.join(" ")}\n}`;
}

/** The modules of a pack, each behind those that it imports. */
function inOrder(modules: ReadonlySet<string>, scripts: Scripts): string[] {
  const order = new Set<string>();
  const visit = (module: string, path: readonly string[]): void => {
    if (path.includes(module)) throw new Error(`A circle: ${[...path, module].join(", ")}`);
    if (!modules.has(module) || order.has(module)) return;
    for (const next of importsOf(scripts[module] ?? "")) visit(next, [...path, module]);
    order.add(module);
  };
  for (const module of modules) visit(module, []);
  return [...order];
}

/** Files of modules. */
export interface Packed {
  /** The scripts by the name of their file. */
  readonly files: Scripts;
  /** The pack of each module that is in one. */
  readonly packs: ReadonlyMap<string, string>;
}

/**
 * Packs modules.
 *
 * @param reached the modules that each view loads
 * @param alone modules that stay as they are
 */
export function packed(
  scripts: Scripts,
  reached: ReadonlyMap<string, ReadonlySet<string>>,
  alone: readonly string[],
): Packed {
  const packs = new Map<string, string>();
  for (const module of new Set([...reached.values()].flatMap((modules) => [...modules]))) {
    if (alone.includes(module)) continue;
    const views = [...reached].filter(([, modules]) => modules.has(module)).map(([view]) => view);
    packs.set(module, `with_${views.sort().join("_")}`);
  }
  const files: Record<string, string> = { ...scripts };
  for (const pack of new Set(packs.values())) {
    const members = new Set([...packs].filter(([, its]) => its === pack).map(([name]) => name));
    files[pack] = packOf(inOrder(members, scripts), scripts, packs);
  }
  for (const [module, pack] of packs) files[module] = stubOf(module, pack, scripts[module] ?? "");
  return { files, packs };
}

function packOf(
  modules: readonly string[],
  scripts: Scripts,
  packs: ReadonlyMap<string, string>,
): string {
  const needed = new Map<string, Set<string>>();
  const own: string[] = [];
  for (const module of modules) {
    const script = scripts[module] ?? "";
    for (const name of exportsOf(module, script).keys()) own.push(`${module}$${name}`);
    const from = [...script.matchAll(IMPORT), ...script.matchAll(LIST)];
    for (const [, list = "", other = ""] of from) {
      if (other === "" || modules.includes(other)) continue;
      const pack = packs.get(other);
      const names = needed.get(pack ?? other) ?? new Set();
      needed.set(pack ?? other, names);
      for (const [name] of namesIn(list)) {
        names.add(pack === undefined ? `${name} as ${other}$${name}` : `${other}$${name}`);
      }
    }
  }
  return [
    ...[...needed].map(([file, names]) =>
      `import { ${[...names].join(", ")} } from "./${file}.js";`
    ),
    ...own.length > 0 ? [`let ${own.join(", ")};`] : [],
    ...modules.map((module) => blockOf(module, scripts[module] ?? "")),
    `export { ${own.join(", ")} };`,
    "",
  ].join("\n");
}

/** What has the name of a module that is in a pack. */
function stubOf(module: string, pack: string, script: string): string {
  const names = [...exportsOf(module, script).keys()];
  if (names.length === 0) return `import "./${pack}.js";\n`;
  return `export { ${
    names.map((name) => `${module}$${name} as ${name}`).join(", ")
  } } from "./${pack}.js";\n`;
}

/**
 * Parts of the page that are not needed for the first rows: loaded when they are used, with their
 * style sheet.
 *
 * A module with rules of its own starts with `await styled("NAME")`, which loads `NAME.css`; whoever
 * needs the module writes `new Later(async () => …(await import("./NAME.js")))`. What is imported by
 * a static `import` from a view counts as loaded by the first paint (tests/ui/files_test.ts).
 *
 * @module
 */

import { h, toast } from "./dom.js";

/** Style sheets by name. @type {Map<string, Promise<void>>} */
const sheets = new Map();

/** Loads a style sheet once; without it the part works, only plainly. @param {string} name */
export function styled(name) {
  // Tests import what needs no page.
  if (typeof document === "undefined") return Promise.resolve();
  let loaded = sheets.get(name);
  if (!loaded) {
    const href = `/ui/assets/${name}.css`;
    // The page names the sheets of its first paint itself.
    const named = document.querySelector(`link[rel=stylesheet][href="${href}"]`);
    loaded = named ? Promise.resolve() : new Promise((done) => {
      document.head.append(
        h("link", { rel: "stylesheet", href, onload: () => done(), onerror: () => done() }),
      );
    });
    sheets.set(name, loaded);
  }
  return loaded;
}

/** A part that is made at its first use. @template T */
export class Later {
  #make;
  /** @type {Promise<T> | null} */
  #coming = null;
  /** @type {T | null} */
  #made = null;

  /** @param {() => Promise<T>} make loads the module and makes the part */
  constructor(make) {
    this.#make = make;
  }

  /** The part, if it was used before. */
  get now() {
    return this.#made;
  }

  /** Makes the part if there is none. @returns {Promise<T>} */
  get() {
    // After a failure, such as a server that does not answer, the next use tries again; how a module
    // is asked for again is in packs.ts.
    this.#coming ??= this.#make().then(
      (part) => this.#made = part,
      (error) => {
        this.#coming = null;
        throw error;
      },
    );
    return this.#coming;
  }

  /** Uses the part: at once if it is there, else when it has been loaded. @param {(part: T) => void} act */
  use(act) {
    if (this.#made !== null) return act(this.#made);
    this.get().then(
      act,
      () => toast("This part of the page could not be loaded: the server does not answer", true),
    );
  }
}

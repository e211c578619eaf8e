/**
 * What is done when files of the page do not come, because the server went away behind the document:
 * a browser asks for none of them again, and some keep a module that failed for as long as the document
 * is shown. This script is in the document itself, so that it is there when nothing else is (mod.ts).
 *
 * @module
 */

{
  /** How long to wait before files are asked for again, in milliseconds. */
  const AGAIN_MS = 1000;
  /** The same for a document that was loaded again already. */
  const STILL_MS = 5000;
  /** How long files may take, in milliseconds. */
  const PATIENCE_MS = 60_000;

  /** @param {number} ms */
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

  /** @param {string} path @returns {Promise<string>} */
  const read = async (path) => {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const answer = await fetch(path, { cache: "no-store", credentials: "same-origin", signal });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return await answer.text();
  };

  /** Whether all comes that the page at this address needs now. */
  const comes = async () => {
    try {
      const page = await read(location.pathname + location.search);
      await Promise.all([...new Set(page.match(/\/ui\/assets\/\w+\.\w+/g))].map(read));
      return true;
    } catch {
      return false; // Then it is asked again.
    }
  };

  let waiting = false;

  /** Loads the page again as soon as all of it comes. */
  const again = async () => {
    if (waiting) return;
    waiting = true;
    const [visit] = performance.getEntriesByType("navigation");
    const isSecond = visit instanceof PerformanceNavigationTiming && visit.type === "reload";
    do {
      await sleep(isSecond ? STILL_MS : AGAIN_MS);
      const root = document.getElementById("app");
      if (root?.hasChildNodes() === false) {
        root.textContent = "The server does not answer. This page tries again until it does.";
      }
    } while (!await comes());
    location.reload();
  };

  addEventListener("error", ({ target }) => {
    // What comes early is asked for once more by those that need it.
    if (target instanceof HTMLScriptElement && !target.async) void again();
    if (!(target instanceof HTMLLinkElement) || target.rel !== "stylesheet") return;
    // Without a style sheet the page works: it is not loaded again for that.
    void sleep(AGAIN_MS).then(() => target.replaceWith(target.cloneNode()));
  }, true);
  // From app.js, for a view that did not come.
  addEventListener("missing", again);
}

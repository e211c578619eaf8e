/**
 * Places for open streams where tabs share no worker: over HTTP/1.1 a browser has six connections to
 * a server for all tabs together, so at most four tabs keep one open, and the others ask again and
 * again.
 *
 * @module
 */

const PLACES = 4;

/**
 * Takes a place, if one is free.
 * @param {() => void} lost called when it has to be given up
 * @returns {Promise<(() => void) | null>} gives it back; null if the tab has to ask again and again
 */
export async function takePlace(lost) {
  // Without locks (not on a secure origin) tabs do not know of each other: one in sight has a place.
  if (!("locks" in navigator)) {
    if (document.hidden) return null;
    const hide = () => document.hidden && lost();
    document.addEventListener("visibilitychange", hide);
    return () => document.removeEventListener("visibilitychange", hide);
  }
  for (let i = 0; i < PLACES; i++) {
    const place = await take(`plasmite-stream-${i}`);
    if (place) return place;
  }
  return null;
}

/** @param {string} name @returns {Promise<(() => void) | null>} */
function take(name) {
  return new Promise((done) => {
    const held = navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      if (!lock) return done(null);
      return new Promise((free) => done(() => free(undefined)));
    });
    held.catch(() => done(() => {}));
  });
}

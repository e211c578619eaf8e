/**
 * Places for open streams: over HTTP/1.1 a browser has six connections to a server for all tabs
 * together, so at most four tabs keep one open, and the others ask again and again.
 *
 * @module
 */

const PLACES = 4;

/**
 * Takes a place, if one is free.
 * @returns {Promise<(() => void) | null>} gives it back; null if the tab has to ask again and again
 */
export async function takePlace() {
  // Without locks (not on a secure origin) tabs do not know of each other.
  if (!("locks" in navigator)) return () => {};
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

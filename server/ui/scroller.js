/**
 * Scrolls a list, and knows whether it follows its end. That only its reader decides, with a key, a
 * button or by scrolling. Where the list scrolls by itself, or the browser does because there is no
 * more room, nobody has decided anything, even if the event comes late. Neither do wheels that were
 * turned before the reader went to the end, though the browser may scroll by them afterwards.
 *
 * @module
 */

/** How long after that such a wheel may scroll, although all scrolling seems to have ended, in ms. */
const LATE_MS = 500;

export class Scroller {
  #follow = true;
  /** Where the list was placed, or seen, last. */
  #at = 0;
  /** When the reader went to the end. */
  #went = -Infinity;
  /** Whether what was done before that may still scroll. */
  #settling = false;

  /** @param {HTMLElement} element @param {() => void} changed called when the reader has decided */
  constructor(element, changed) {
    this.element = element;
    this.changed = changed;
    /** @param {keyof HTMLElementEventMap} type @param {(event: any) => void} hear */
    const on = (type, hear) => element.addEventListener(type, hear, { passive: true });
    // Before it has scrolled: what arrives meanwhile would take it back to the end.
    on("wheel", ({ deltaY, ctrlKey, timeStamp }) => {
      if (ctrlKey || this.#isOld(timeStamp)) return;
      if (deltaY < 0 && element.scrollTop > 0) this.#decide(false);
      if (deltaY > 0 && this.#below <= 1) this.#decide(true);
    });
    for (const type of /** @type {const} */ (["touchmove", "pointerdown", "keydown"])) {
      on(type, ({ timeStamp }) => this.#isOld(timeStamp));
    }
    on("scrollend", ({ timeStamp }) => {
      if (timeStamp - this.#went > LATE_MS) this.#settling &&= this.#below > 1;
    });
  }

  /** Whether the newest rows stay in sight. */
  get follow() {
    return this.#follow;
  }

  set follow(follow) {
    this.#follow = follow;
    // The event of an earlier scrolling may still come.
    this.#at = this.element.scrollTop;
  }

  /** Where it is, also if the element was away from the page meanwhile. */
  get at() {
    return this.#at;
  }

  /** @param {number} top */
  to(top) {
    this.element.scrollTop = top;
    this.#at = this.element.scrollTop;
  }

  /** The reader goes to the end, and follows. */
  toEnd() {
    this.#follow = true;
    // By the clock of events.
    this.#went = new Event("now").timeStamp;
    // Without the event that ends it, it would have no end.
    this.#settling = "onscrollend" in globalThis;
    this.to(this.element.scrollHeight);
  }

  /** Hears that the element has scrolled. @param {number} near what counts as the end, in pixels */
  heard(near) {
    const { scrollTop } = this.element;
    const by = scrollTop - this.#at;
    if (Math.abs(by) < 1) return;
    this.#at = scrollTop;
    if (by > 0 && this.#below <= near) this.#decide(true);
    // At the very end it was the browser: there is less to scroll, or more of it on screen.
    else if (by < 0 && this.#below > 1) {
      if (this.#follow && this.#settling) this.to(this.element.scrollHeight);
      else this.#decide(false);
    }
  }

  /** How much there is below what is on screen, in pixels; whole ones, but for the place. */
  get #below() {
    const { scrollTop, clientHeight, scrollHeight } = this.element;
    return scrollHeight - clientHeight - scrollTop;
  }

  /**
   * Whether something was done before the reader went to the end; only then it may still scroll.
   * @param {number} time
   */
  #isOld(time) {
    return this.#settling = time < this.#went;
  }

  /** @param {boolean} follow */
  #decide(follow) {
    if (this.#follow === follow) return;
    this.#follow = follow;
    this.changed();
  }
}

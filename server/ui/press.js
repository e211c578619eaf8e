/**
 * What is pressed stays as it is until it is let go. A browser gives the click to what was under the
 * pointer both when it went down and when it came up: where that was drawn anew or moved in between,
 * the click goes to nobody.
 *
 * @module
 */

/** What a mouse, a finger or a pen presses. @type {Element | null} */
let pressed = null;
/** How often something was. */
let presses = 0;
/** What is drawn as soon as nothing is pressed. @type {Map<object, () => void>} */
const waiting = new Map();

/** Draws what had to wait, even if something is still pressed. */
function letGo() {
  pressed = null;
  const draws = [...waiting.values()];
  waiting.clear();
  for (const draw of draws) draw();
}

/**
 * Draws an element now, or when nothing in it is pressed any more: then only what came last.
 * @param {Element} element @param {() => void} draw
 * @param {() => boolean} [scrolled] whether it was scrolled meanwhile: one sees where it gets to
 */
export function unlessPressed(element, draw, scrolled) {
  const isPressed = pressed !== null && element.contains(pressed);
  if (isPressed && !scrolled?.()) return void waiting.set(element, draw);
  if (isPressed) letGo();
  waiting.delete(element);
  draw();
}

/** @param {string} type @param {(event: any) => void} hear before anybody else does */
const on = (type, hear) => addEventListener(type, hear, { capture: true, passive: true });

on("pointerdown", ({ isPrimary, target }) => {
  if (!isPrimary || !(target instanceof Element)) return;
  presses++;
  pressed = target;
});
// The click is part of the same task, and whoever hears it may draw at once.
on("pointerup", () => {
  const mine = presses;
  setTimeout(() => presses === mine && letGo());
});
on("click", () => pressed = null);
// Of these there is no click, and not always a "pointerup".
for (const type of ["pointercancel", "contextmenu", "dragstart"]) on(type, letGo);
on("blur", ({ target }) => target === globalThis && letGo());
on("pointermove", ({ buttons }) => pressed && buttons === 0 && letGo());

/**
 * What is pressed, and who scrolls: press.js and scroller.js in real browsers, for what hands do that
 * no driver of a browser can do for certain.
 *
 * @module
 */

import assert from "node:assert/strict";
import { inBrowsers, scene } from "../support/browser.ts";

/** What was drawn until a press ended in some way, in the same task, then, and with the next press. */
const PRESS = `(async () => {
  const { unlessPressed } = await import("/ui/assets/press.js");
  const [box, other] = ["button", "input"].map((tag) =>
    document.body.appendChild(document.createElement(tag)));
  let drawn = [];
  const draw = (what, scrolled) => unlessPressed(box, () => drawn.push(what), scrolled);
  const tell = (type, more = {}, to = box) => to.dispatchEvent(
    new PointerEvent(type, { bubbles: true, isPrimary: true, buttons: 1, ...more }));
  const later = () => new Promise((done) => setTimeout(done, 20));
  box.onclick = () => draw("clicked");
  const ways = {
    up: () => tell("pointerup"),
    "up and down again": () => (tell("pointerup"), tell("pointerdown")),
    click: () => (tell("pointerup"), box.click()),
    pointercancel: () => tell("pointercancel"),
    contextmenu: () => tell("contextmenu"),
    dragstart: () => tell("dragstart"),
    "window left": () => dispatchEvent(new FocusEvent("blur")),
    "box left": () => box.dispatchEvent(new FocusEvent("blur")),
    "moved": () => tell("pointermove"),
    "moved, not pressed": () => tell("pointermove", { buttons: 0 }),
    "second finger": () => (tell("pointerdown", { isPrimary: false }, other), draw("third")),
    "drawn again after all": () => (tell("pointercancel"), draw("third")),
    "drawn, not scrolled": () => draw("third", () => false),
    "drawn, scrolled": () => draw("third", () => true),
    // Who hears it first, hears it alone.
    "up, which others hear": () => {
      box.addEventListener("pointerup", (event) => event.stopPropagation(), { once: true });
      tell("pointerup");
    },
  };
  const found = {};
  for (const [way, end] of Object.entries(ways)) {
    drawn = [];
    tell("pointerdown");
    draw("first");
    draw("second");
    end();
    found[way] = [drawn.join()];
    await later();
    found[way].push(drawn.join());
    tell("pointerup");
    await later();
    found[way].push(drawn.join());
  }
  return found;
})()`;

/**
 * Whether a list that has 2000 pixels above its end follows it after something was done, how often it
 * has told that the reader decided, and whether the end is in sight.
 */
const SCROLL = `(async () => {
  const { Scroller } = await import("/ui/assets/scroller.js");
  const made = (type, more) => new (type === "wheel" ? WheelEvent : Event)(type, more);
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const soon = {
    "wheel up, twice": ({ tell }) => {
      tell("wheel", { deltaY: -1 });
      tell("wheel", { deltaY: -1 });
    },
    "wheel up at the top": ({ scroller, tell }) => {
      scroller.to(0);
      tell("wheel", { deltaY: -1 });
    },
    "wheel up to zoom": ({ tell }) => tell("wheel", { deltaY: -1, ctrlKey: true }),
    "wheel down at the end": ({ scroller, tell }) => {
      scroller.follow = false;
      tell("wheel", { deltaY: 1 });
    },
    "wheel down elsewhere": ({ scroller, tell }) => {
      scroller.follow = false;
      scroller.to(1000);
      tell("wheel", { deltaY: 1 });
    },
    "scrolled up": ({ scroll }) => scroll(-10),
    "scrolled down, near the end": ({ scroller, scroll }) => {
      scroller.follow = false;
      scroller.to(1000);
      scroll(980);
    },
    "scrolled down, not near": ({ scroller, scroll }) => {
      scroller.follow = false;
      scroller.to(1000);
      scroll(970);
    },
    "placed by itself": ({ scroller }) => {
      scroller.follow = false;
      scroller.to(1990);
      scroller.heard(24);
    },
    "scrolled before it was told not to follow": ({ element, scroller }) => {
      scroller.to(1000);
      element.scrollTop = 1990;
      scroller.follow = false;
      scroller.heard(24);
    },
    "scrolled up after it had come to rest elsewhere": ({ scroller, tell, scroll }) => {
      scroller.to(1000);
      tell("scrollend");
      scroll(-100);
    },
    "to the end": ({ scroller }) => {
      scroller.follow = false;
      scroller.to(1000);
      scroller.toEnd();
    },
    "less to scroll": ({ element, scroller }) => {
      element.firstChild.style.height = "1500px";
      scroller.heard(24);
    },
  };
  // After the reader has gone to the end.
  const late = {
    "an old wheel": ({ element, before }) => element.dispatchEvent(before.wheel),
    "what an old wheel scrolls where it does not follow any more": ({ scroller, scroll }) => {
      scroller.follow = false;
      scroll(-500);
    },
    "what an old wheel scrolls": ({ scroll }) => scroll(-500),
    "the same after all seemed to rest": ({ element, scroll, ended }) => {
      element.dispatchEvent(ended);
      scroll(-500);
    },
    "the same long after that": async ({ element, before, scroll, tell }) => {
      await pause(600);
      tell("scrollend");
      element.dispatchEvent(before.wheel);
      scroll(-500);
    },
    "the same where it did not rest at the end": async ({ element, scroller, tell }) => {
      await pause(600);
      element.scrollTop -= 300;
      tell("scrollend");
      scroller.heard(24);
    },
    "a scrolling long after that": async ({ scroll, tell }) => {
      await pause(600);
      tell("scrollend");
      scroll(-500);
    },
    "a new press": ({ scroll, tell }) => (tell("pointerdown"), scroll(-500)),
    "a new key": ({ scroll, tell }) => (tell("keydown"), scroll(-500)),
    "a new touch": ({ scroll, tell }) => (tell("touchmove"), scroll(-500)),
    "an old touch": ({ element, before, scroll }) => {
      element.dispatchEvent(before.touchmove);
      scroll(-500);
    },
    "a scrolling where a browser does not tell of its end": ({ scroller, scroll }) => {
      delete globalThis.onscrollend;
      scroller.toEnd();
      scroll(-500);
    },
  };
  const found = {};
  for (const [what, play] of [...Object.entries(soon), ...Object.entries(late)]) {
    const element = document.body.appendChild(document.createElement("div"));
    element.style.height = "100px";
    element.style.overflow = "auto";
    element.append(document.createElement("div"));
    element.firstChild.style.height = "2100px";
    // It comes when the browser likes.
    element.addEventListener("scrollend", (event) => {
      if (event.isTrusted) event.stopImmediatePropagation();
    });
    let told = 0;
    const scroller = new Scroller(element, () => told++);
    scroller.to(2000);
    const tell = (type, more) => element.dispatchEvent(made(type, more));
    const scroll = (by) => {
      element.scrollTop += by;
      scroller.heard(24);
    };
    const all = { element, scroller, tell, scroll };
    // Again where the machine was busy meanwhile.
    for (let went = -Infinity; what in late && !(all.ended?.timeStamp - went < 400);) {
      all.before = { wheel: made("wheel", { deltaY: -1 }), touchmove: made("touchmove") };
      await pause(20);
      went = performance.now();
      scroller.toEnd();
      await pause(20);
      all.ended = made("scrollend");
    }
    await play(all);
    found[what] = [scroller.follow, told, element.scrollTop === 2000];
    element.remove();
  }
  return found;
})()`;

inBrowsers("hands", async (t, browser) => {
  const step = (what: string, run: string, expected: unknown): Promise<boolean> =>
    t.step(what, () =>
      scene(browser, {}, async ({ server, page }) => {
        await page.goto(`${server.url}/ui`);
        assert.deepEqual(await page.evaluate(run), expected);
      }));

  // Lost: a click, or what was to be drawn: for ever, or to what was to be drawn before it.
  const [still, once, late] = ["", "second", "second,third"];
  await step("what waits is drawn as soon as nothing is pressed, however that ends", PRESS, {
    up: [still, once, once],
    "up, which others hear": [still, once, once],
    "up and down again": [still, still, once],
    click: ["clicked", "clicked", "clicked"],
    pointercancel: [once, once, once],
    contextmenu: [once, once, once],
    dragstart: [once, once, once],
    "window left": [once, once, once],
    "box left": [still, still, once],
    moved: [still, still, once],
    "moved, not pressed": [once, once, once],
    "second finger": [still, still, "third"],
    "drawn again after all": [late, late, late],
    "drawn, not scrolled": [still, still, "third"],
    "drawn, scrolled": [late, late, late],
  });

  // Lost: the end for who wants to be there, or the place for who does not.
  await step("only what the reader does now starts or ends following", SCROLL, {
    "wheel up, twice": [false, 1, true],
    "wheel up at the top": [true, 0, false],
    "wheel up to zoom": [true, 0, true],
    "wheel down at the end": [true, 1, true],
    "wheel down elsewhere": [false, 0, false],
    "scrolled up": [false, 1, false],
    "scrolled down, near the end": [true, 1, false],
    "scrolled down, not near": [false, 0, false],
    "placed by itself": [false, 0, false],
    "scrolled before it was told not to follow": [false, 0, false],
    "scrolled up after it had come to rest elsewhere": [false, 1, false],
    "to the end": [true, 0, true],
    "less to scroll": [true, 0, false],
    "an old wheel": [true, 0, true],
    "what an old wheel scrolls where it does not follow any more": [false, 0, false],
    "what an old wheel scrolls": [true, 0, true],
    "the same after all seemed to rest": [true, 0, true],
    "the same long after that": [true, 0, true],
    "the same where it did not rest at the end": [true, 0, true],
    "a scrolling long after that": [false, 1, false],
    "a new press": [false, 1, false],
    "a new key": [false, 1, false],
    "a new touch": [false, 1, false],
    "an old touch": [true, 0, true],
    "a scrolling where a browser does not tell of its end": [false, 1, false],
  });
});

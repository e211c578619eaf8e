/**
 * A new access key, shown once, with what its holder does with it: in a terminal, in a browser, on a
 * telephone, for an agent. No command contains the key: it would be in histories and process lists.
 *
 * @module
 */

import { button, copy, h, svg, toast } from "./dom.js";
import { visible } from "./json.js";
import { qrCode, qrPath } from "./qr.js";

/** A line to copy. @param {string} text @param {string} what it is, for the button */
function line(text, what) {
  const done = () => copy(text).then(() => toast(`Copied ${what}`));
  return h(
    "div",
    { class: "line" },
    h("code", null, text),
    button(`Copy ${what}`, done, { icon: "copy" }),
  );
}

/** @param {string} text @param {string} label */
function picture(text, label) {
  const code = qrCode(text);
  const side = code.size + 8;
  const root = svg("svg", {
    class: "qr",
    viewBox: `0 0 ${side} ${side}`,
    role: "img",
    "aria-label": label,
    "shape-rendering": "crispEdges",
  });
  root.append(
    svg("rect", { width: `${side}`, height: `${side}`, fill: "#fff" }),
    svg("path", { d: qrPath(code), fill: "#000" }),
  );
  return root;
}

/** @param {string} title @param {...import("./dom.js").Child} content */
const part = (title, ...content) => h("section", null, h("h3", null, title), content);

/**
 * @param {{name: string, key: string, origin: string | null, example: string, fingerprint: string}}
 *   made `origin` where others reach this server, null if that is not known
 * @param {() => void} done
 */
export function handout({ name, key, origin, example, fingerprint }, done) {
  const at = origin ?? example;
  const link = `${at}/ui#key=${key}`;
  const bridge = `plasmite mcp --remote ${at}`;
  return [
    h("h2", { tabindex: -1 }, `Key for ${visible(name)}`),
    h("p", null, "It is shown only now. Whoever has it can use it, so send it in private."),
    line(key, "the key"),
    !origin && h("p", { class: "problem" }, "Put this machine's name in the place of HOST."),
    h(
      "div",
      { class: "ways" },
      part(
        "Terminal",
        h("p", null, "Run this on the other machine, and paste the key when it asks."),
        line(`plasmite access connect ${at}`, "the command"),
      ),
      origin && part(
        "Browser and telephone",
        h("p", null, "The link, also in the picture, signs in at once."),
        picture(link, "QR code of the link"),
        h(
          "div",
          null,
          button("Copy the link", () => copy(link).then(() => toast("Copied the link")), {
            class: "tool",
            icon: "link",
            text: "Copy the link",
          }),
        ),
        h(
          "p",
          { class: "note" },
          "A browser warns of a certificate that this server has made itself. Before you go on, compare the SHA-256 of the public key: ",
          h("code", null, fingerprint),
        ),
      ),
      part(
        "Agent",
        h("p", null, "After the terminal's command, on the same machine:"),
        line(`claude mcp add plasmite -- ${bridge}`, "the command for Claude Code"),
        line(`codex mcp add plasmite -- ${bridge}`, "the command for Codex"),
        h("p", null, "Other agents start this as a server on stdio:"),
        line(bridge, "the command for other agents"),
      ),
    ),
    h("div", { class: "row-end" }, button("Done", done, { class: "primary", text: "Done" })),
  ];
}

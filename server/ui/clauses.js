/**
 * Filters made by choosing values: each field has one clause, `.data.level == "error"`, with `or`
 * between several values, and one for each value that is not wanted. What was written by hand stays
 * as it is, and holds as well.
 *
 * @module
 */

/** @typedef {readonly string[] | "tags"} Field names below `data`, or the tags */
/** @typedef {"only" | "or" | "not"} How */

/** A step of a path in jq syntax. @param {string | number} step */
export const jqStep = (step) => {
  if (typeof step === "number") return `[${step}]`;
  return /^[A-Za-z_]\w*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
};

/** A path in jq syntax. @param {ReadonlyArray<string | number>} path */
export const jqPath = (path) => `.data${path.map(jqStep).join("")}`;

/** @param {Field} field @param {string} value JSON text */
const is = (field, value) =>
  field === "tags" ? `any(.meta.tags[]; . == ${value})` : `${jqPath(field)} == ${value}`;

// Also of messages without the field, where a comparison would be an error.
/** @param {Field} field @param {string} value JSON text */
const isNot = (field, value) =>
  field === "tags" ? `all(.meta.tags[]; . != ${value})` : `[${jqPath(field)}?] != [${value}]`;

const WORD = /[A-Za-z_]\w*/y;

/**
 * Splits an expression at a keyword that stands outside of brackets and strings; null if something
 * else there binds less tightly.
 * @param {string} text
 * @param {"and" | "or"} keyword
 * @returns {string[] | null}
 */
function split(text, keyword) {
  /** @type {string[]} */
  const parts = [];
  let from = 0, depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i] ?? "";
    if (c === '"') {
      const end = /"(?:[^"\\]|\\.)*"/y;
      end.lastIndex = i;
      if (!end.test(text)) return null;
      i = end.lastIndex - 1;
    } else if ("([{".includes(c)) depth++;
    else if (")]}".includes(c)) depth--;
    else if (depth > 0) continue;
    else if (c === "|" || c === "," || c === "#" || text.startsWith("//", i)) return null;
    else if (/[A-Za-z_]/.test(c)) {
      WORD.lastIndex = i;
      const word = WORD.exec(text)?.[0] ?? c;
      if (text[i - 1] !== "." && text[i - 1] !== "$") {
        if (word === keyword) {
          parts.push(text.slice(from, i).trim());
          from = i + word.length;
        } else if (keyword === "and" && word === "or") return null;
        else if (/^(?:if|def|reduce|foreach|try|as|label)$/.test(word)) return null;
      }
      i += word.length - 1;
    }
  }
  parts.push(text.slice(from).trim());
  return depth === 0 ? parts : null;
}

/** @param {string} where */
function conjuncts(where) {
  if (!where.trim()) return [];
  return split(where, "and") ?? [`(${where.trim()})`];
}

/** The alternatives of a clause without its parentheses. @param {string} clause */
function alternatives(clause) {
  const inner = /^\((.*)\)$/s.exec(clause)?.[1] ?? clause;
  return split(inner, "or") ?? [clause];
}

/** Whether the clause is one of this field, as they are made here. @param {string} clause @param {Field} field */
function isOf(clause, field) {
  const start = is(field, "");
  const end = field === "tags" ? start.slice(-1) : "";
  const before = end ? start.slice(0, -1) : start;
  return alternatives(clause).every((one) =>
    one.startsWith(before) && one.endsWith(end) &&
    isValue(one.slice(before.length, one.length - end.length))
  );
}

/** @param {string} text */
function isValue(text) {
  try {
    const value = JSON.parse(text);
    return value === null || typeof value !== "object";
  } catch {
    return false;
  }
}

/** @param {readonly string[]} ones */
const either = (ones) => ones.length > 1 ? `(${ones.join(" or ")})` : ones[0] ?? "";

/**
 * How a value is chosen in a filter.
 * @param {string} where
 * @param {Field} field
 * @param {string} value JSON text
 * @returns {"is" | "not" | ""}
 */
export function chosen(where, field, value) {
  const parts = conjuncts(where);
  if (parts.includes(isNot(field, value))) return "not";
  const group = parts.find((part) => isOf(part, field));
  return group && alternatives(group).includes(is(field, value)) ? "is" : "";
}

/**
 * The filter after a value was chosen: `only` takes the place of the field's other values, `or`
 * adds one, `not` excludes one. What is chosen already is taken back.
 * @param {string} where
 * @param {Field} field
 * @param {string} value JSON text
 * @param {How} how
 */
export function choose(where, field, value, how) {
  const parts = conjuncts(where);
  const at = parts.findIndex((part) => isOf(part, field));
  const before = at < 0 ? [] : alternatives(parts[at] ?? "");
  const one = is(field, value), not = isNot(field, value);
  const without = before.filter((text) => text !== one);
  const had = without.length < before.length;
  const hadNot = parts.includes(not);
  let after = without;
  if (how === "only") after = had && before.length === 1 ? [] : [one];
  else if (how === "or" && !had) after = [...before, one];
  const rest = parts.filter((part, i) => i !== at && part !== not);
  const group = either(after);
  if (group) rest.splice(at < 0 ? rest.length : Math.min(at, rest.length), 0, group);
  if (how === "not" && !hadNot) rest.push(not);
  const joined = rest.join(" and ");
  // What was written by hand needs no parentheses when it is alone again.
  const alone = rest.length === 1 ? /^\((.*)\)$/s.exec(joined)?.[1] : undefined;
  return alone !== undefined && split(alone, "and") === null ? alone : joined;
}

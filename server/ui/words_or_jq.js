/**
 * Tells words to search for from an expression of jq.
 *
 * @module
 */

/** Functions of jq by which an expression is known, if a parenthesis follows. */
const CALLS =
  "all|any|capture|contains|endswith|has|index|indices|inside|IN|isempty|join|limit|ltrimstr|map|" +
  "match|path|paths|range|recurse|reduce|rtrimstr|scan|select|split|startswith|sub|gsub|test|" +
  "tonumber|tostring|type|with_entries";

/** What only jq has. Whatever matches none of these is searched for as words. */
const JQ = [
  /^\s*[-([{]*\s*\.(?:$|[\s.|)[a-zA-Z_"?])/, // starts with a path
  /(?:==|!=)/,
  /[\w)\]"?]\s*[<>]=?\s*(?:-?\.?\d|["(]|\.[a-zA-Z_[]|(?:true|false|null|now)\b)/,
  /^\s*[\w.]+\s*=\s*(?:[\w.-]+|"[^"]*")\s*$/, // the commonest slip
  new RegExp(`(?:^|[\\s|(;,])(?:${CALLS})\\(`),
  /\w\)?\s*\|\s*(?:\w+\b|\.)/,
  /^\s*if\b.*\bthen\b/,
];

/**
 * What a text in the box is: an expression of jq, or words to search for. Words that jq would take
 * too (`now`, `length`) are words.
 * @param {string} text
 * @returns {"" | "where" | "words"}
 */
export function kindOf(text) {
  if (!text.trim()) return "";
  // What stands in quotes is text in both.
  const bare = text.replace(/"(?:[^"\\]|\\.)*"/g, '""');
  if (!/[^\s"]/.test(bare)) return "words";
  return JQ.some((sign) => sign.test(bare)) ? "where" : "words";
}

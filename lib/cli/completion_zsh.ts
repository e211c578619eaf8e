/**
 * The completion script for zsh: one \`_arguments\` call a command, with the help of each option.
 *
 * @module
 */

import { type Node, quote } from "./completion.ts";
import type { FlagSpec, PositionalSpec } from "./table.ts";

/** Help inside a bracketed specification. */
function described(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("[", "\\[").replaceAll("]", "\\]")
    .replaceAll(":", "\\:");
}

function action(spec: FlagSpec | PositionalSpec): string {
  if (spec.values !== undefined) return `(${spec.values.join(" ")})`;
  switch (spec.complete) {
    case "pool":
      return "_plasmite_pools";
    case "tag":
    case "key":
    case "cursor":
    case "group":
      return `_plasmite_${spec.complete}s`;
    case "file":
      return "_files";
    case "dir":
      return "_files -/";
    case "command":
      return "_normal";
    case "topic":
      return "_plasmite_topics";
    default:
      return " ";
  }
}

function flagWords(flag: FlagSpec): string[] {
  const long = `--${flag.name}`;
  const both = flag.short === undefined ? [long] : [`-${flag.short}`, long];
  const exclusive = flag.repeat ? "*" : `(${both.join(" ")})`;
  const value = flag.value === undefined ? "" : `:${flag.value}:${action(flag)}`;
  return both.map((name) => {
    const attach = flag.value === undefined ? "" : name.startsWith("--") ? "=" : "+";
    return quote(`${exclusive}${name}${attach}[${described(flag.help)}]${value}`);
  });
}

function positionalWord(arg: PositionalSpec, index: number): string {
  const place = arg.trailing || arg.repeat ? "*:" : arg.required ? `${index}:` : `${index}::`;
  return quote(`${place}${arg.trailing ? ":" : ""}${arg.name}:${action(arg)}`);
}

function functionName(path: string): string {
  return path === "" ? "_plasmite" : `_plasmite__${path.replaceAll(" ", "_")}`;
}

function body({ path, flags, args, commands }: Node): string {
  const words = [
    ...flags.flatMap(flagWords),
    ...(commands.length > 0
      ? ["'1: :->command'", "'*:: :->rest'"]
      // Only one entry may stand for the rest of a line; keys look whether a command follows.
      : args.filter((arg) =>
        !arg.trailing || !args.some(({ repeat, trailing }) => repeat && !trailing)
      )
        .map((arg, i) => positionalWord(arg, i + 1))),
  ];
  const call = `_arguments -s -S : \\\n    ${words.join(" \\\n    ")}`;
  const keep = path === ""
    ? `  local -a plasmite_words=("\${(@)words}")\n  local curcontext=$curcontext state line\n`
    : commands.length > 0
    ? `  local curcontext=$curcontext state line\n`
    : "";
  if (commands.length === 0) return `${functionName(path)}() {\n${keep}  ${call}\n}\n`;
  const listed = commands.map((one) => quote(`${one.name}:${described(one.about)}`)).join(" ");
  const cases = commands.map((one) => {
    const below = path === "" ? one.name : `${path} ${one.name}`;
    return `        ${one.name}) ${functionName(below)} ;;\n`;
  }).join("");
  return `${functionName(path)}() {
${keep}  local -a commands=(${listed})
  ${call.replace("_arguments", "_arguments -C")}
  case $state in
    command) _describe -t commands command commands ;;
    rest)
      case $words[1] in
${cases}      esac
      ;;
  esac
}
`;
}

/** Makes the script. */
export function zsh(all: readonly Node[]): string {
  return `#compdef plasmite pls
# zsh completion for plasmite and pls; made by \`plasmite completion zsh\`

# Runs the program itself, with the --dir of the line.
_plasmite_ask() {
  local i dir
  for ((i = 2; i < $#plasmite_words; i++)); do
    case $plasmite_words[i] in
      --) break ;;
      --dir) dir=\${(Q)plasmite_words[i+1]} ;;
      --dir=*) dir=\${(Q)plasmite_words[i]#--dir=} ;;
    esac
  done
  dir=\${dir/#\\~\\//$HOME/}
  \${(Q)plasmite_words[1]} \${dir:+--dir} $dir __complete "$@" 2>/dev/null
}

_plasmite_pools() {
  local -a found=("\${(@f)$(_plasmite_ask pool)}")
  _wanted pools expl pool compadd -a found
  [[ $PREFIX == */* ]] && _files -g '*.plasmite'
}

# What the pool of the line has of one kind.
_plasmite_of() {
  local -a found=("\${(@f)$(_plasmite_ask $1 "\${(Q)line[1]:-\${(Q)words[2]}}")}")
  _wanted $1s expl $1 compadd -a found
}
_plasmite_tags() { _plasmite_of tag }
_plasmite_cursors() { _plasmite_of cursor }
_plasmite_groups() { _plasmite_of group }
_plasmite_keys() {
  if ((words[(I)--])); then _command_names -e || _files; else _plasmite_of key; fi
}

_plasmite_topics() {
  local -a found=(${
    all.filter((n) => n.path !== "" && !n.path.includes(" ")).map((n) => n.path).join(" ")
  })
  _wanted commands expl command compadd -a found
}

${all.map(body).join("\n")}
if [[ $funcstack[1] == _plasmite ]]; then
  _plasmite "$@"
else
  compdef _plasmite plasmite pls
fi
`;
}

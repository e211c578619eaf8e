/**
 * The completion script for bash 3.2 and later; it needs no bash-completion package.
 *
 * @module
 */

import { type Node, quote, spellings, valued, valuedIn } from "./completion.ts";
import type { FlagSpec, PositionalSpec } from "./table.ts";

/** What is offered for one value: a list, or a kind that the script knows. */
function source(spec: FlagSpec | PositionalSpec): string {
  if (spec.values !== undefined) return `words ${spec.values.join(" ")}`;
  return spec.complete ?? "none";
}

/** Makes the script. */
export function bash(all: readonly Node[]): string {
  const rows = (entries: (node: Node) => string[]): string =>
    all.flatMap(entries).map((row) => `    ${row}\n`).join("");
  const commands = rows(({ path, commands }) =>
    commands.length === 0
      ? []
      : [`${quote(path)}) echo ${quote(commands.map((one) => one.name).join(" "))} ;;`]
  );
  const flags = rows(({ path, flags }) => [
    `${quote(path)}) echo ${quote(flags.flatMap(spellings).join(" "))} ;;`,
  ]);
  const values = rows(({ path, flags }) =>
    flags.filter((flag) => flag.value !== undefined).map((flag) =>
      `${spellings(flag).map((name) => quote(`${path}:${name}`)).join("|")}) echo ${
        quote(source(flag))
      } ;;`
    )
  );
  const positionals = rows(({ path, args }) =>
    args.map((arg, i) =>
      `${quote(`${path}:`)}${arg.repeat ? "*" : i}) echo ${quote(source(arg))} ;;`
    )
  );
  return `# bash completion for plasmite and pls; made by \`plasmite completion bash\`

_plasmite_commands() {
  case "$1" in
${commands}  esac
}

_plasmite_flags() {
  case "$1" in
${flags}  esac
}

_plasmite_value() {
  case "$1" in
${values}  esac
}

_plasmite_positional() {
  case "$1" in
${positionals}  esac
}

# Offers the lines of stdin that start with the current word, quoted where a shell needs it.
_plasmite_offer() {
  local line
  while IFS= read -r line; do
    [[ -n $line && $line == "$cur"* ]] && COMPREPLY+=("$(printf '%q' "$line")")
  done
}

# Offers files or directories, quoted by readline.
_plasmite_offer_files() {
  local line
  compopt -o filenames 2>/dev/null
  while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen "$1" -- "$cur")
}

# A word as typed, without its quoting.
_plasmite_plain() {
  plain=\${1//[\\\\\\"\\']/}
  plain=\${plain/#\\~\\//$HOME/}
}

_plasmite_from() {
  local kind=\${1%% *} program=\${COMP_WORDS[0]}
  case "$kind" in
    words) _plasmite_offer < <(printf '%s\\n' \${1#words }) ;;
    pool)
      _plasmite_offer < <("$program" \${dir:+--dir "$dir"} __complete pool 2>/dev/null)
      if [[ $cur == */* ]]; then _plasmite_offer_files -f; fi
      ;;
    tag|key|cursor|group)
      _plasmite_offer < <("$program" \${dir:+--dir "$dir"} __complete "$kind" "$pool" 2>/dev/null)
      ;;
    file) _plasmite_offer_files -f ;;
    dir) _plasmite_offer_files -d ;;
    command) _plasmite_offer < <(compgen -c -- "$cur") ;;
  esac
}

_plasmite() {
  local cur=\${COMP_WORDS[COMP_CWORD]} path="" topic="" opt="" pool="" dir="" count=0 glue=""
  local i w plain
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    w=\${COMP_WORDS[i]}
    # bash splits --opt=value and http://host into several words.
    if [[ $w == "=" ]]; then continue; fi
    if [[ $w == ":"* ]]; then glue=1; continue; fi
    if [[ -n $glue ]]; then glue=""; continue; fi
    if [[ -n $opt ]]; then
      if [[ $opt == --dir ]]; then _plasmite_plain "$w"; dir=$plain; fi
      opt=""
      continue
    fi
    if [[ $w == "--" ]]; then
      if [[ $path == tap || $path == claim || $path == work ]]; then
        if declare -F _command_offset >/dev/null; then _command_offset $((i + 1))
        elif ((i + 1 == COMP_CWORD)); then _plasmite_from command
        else _plasmite_from file; fi
      fi
      return
    fi
    case "$path $w" in
      ${valuedIn(all).map(quote).join("|")}) opt=$w; continue ;;
    esac
    case "$w" in
      ${valued(all).join("|")}) opt=$w ;;
      -*) ;;
      *)
        if [[ $path == help ]]; then topic="\${topic:+$topic }$w"
        elif [[ " $(_plasmite_commands "$path") " == *" $w "* ]]; then path="\${path:+$path }$w"
        else
          if ((count == 0)); then _plasmite_plain "$w"; pool=$plain; fi
          ((count++))
        fi
        ;;
    esac
  done
  if [[ $cur == "=" ]]; then cur=""; fi
  cur=\${cur//\\\\/}
  if [[ -n $opt ]]; then
    _plasmite_from "$(_plasmite_value "$path:$opt")"
  elif [[ $cur == -* ]]; then
    _plasmite_offer < <(printf '%s\\n' $(_plasmite_flags "$path"))
  elif [[ $path == help ]]; then
    _plasmite_offer < <(printf '%s\\n' $(_plasmite_commands "$topic"))
  else
    if ((count == 0)); then
      _plasmite_offer < <(printf '%s\\n' $(_plasmite_commands "$path"))
    fi
    _plasmite_from "$(_plasmite_positional "$path:$count")"
  fi
}

complete -F _plasmite plasmite pls
`;
}

/**
 * The completion script for fish: one \`complete\` line an option, with its help.
 *
 * @module
 */

import { type Node, valued, valuedIn } from "./completion.ts";
import type { FlagSpec, PositionalSpec } from "./table.ts";

/** A word in fish's single quotes. */
function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

function candidates(spec: FlagSpec | PositionalSpec): string {
  if (spec.values !== undefined) return `-f -a ${quote(spec.values.join(" "))}`;
  switch (spec.complete) {
    case "pool":
      return `-f -a '(__plasmite_ask pool)'`;
    case "tag":
    case "key":
    case "cursor":
    case "group":
      return `-f -a '(__plasmite_ask ${spec.complete} (__plasmite_pool))'`;
    case "file":
      return "-F";
    case "dir":
      return `-f -a '(__fish_complete_directories)'`;
    case "command":
      return `-f -a '(__plasmite_child)'`;
    default:
      return "-f";
  }
}

function flagLine(path: string, flag: FlagSpec): string {
  const short = flag.short === undefined ? "" : `-s ${flag.short} `;
  const value = flag.value === undefined ? "" : `-r ${candidates(flag)} `;
  return `complete -c plasmite -n ${quote(`__plasmite_at ${quoted(path)}`)} ` +
    `${short}-l ${flag.name} ${value}-d ${quote(flag.help)}\n`;
}

/** The path as one word inside a condition. */
function quoted(path: string): string {
  return `"${path}"`;
}

function lines({ path, flags, args, commands }: Node): string {
  const when = (condition: string): string => `complete -c plasmite -n ${quote(condition)} `;
  const words = commands.map((one) =>
    when(`__plasmite_at ${quoted(path)} 0`) + `-f -a ${one.name} -d ${quote(one.about)}\n`
  );
  const positionals = args.map((arg, i) =>
    when(`__plasmite_at ${quoted(path)} ${arg.repeat ? "" : i}`.trimEnd()) + `${candidates(arg)}\n`
  );
  const topics = commands.map((one) =>
    when(`__plasmite_topic ${path}`.trimEnd()) + `-f -a ${one.name} -d ${quote(one.about)}\n`
  );
  return [...words, ...topics, ...positionals, ...flags.map((flag) => flagLine(path, flag))].join(
    "",
  );
}

/** Makes the script. */
export function fish(all: readonly Node[]): string {
  const paths = all.filter((node) => node.path !== "").map((node) => quote(node.path)).join(" ");
  return `# fish completion for plasmite and pls; made by \`plasmite completion fish\`

# The words of the line that are no options: commands first, then positionals.
function __plasmite_words
    set -l skip 0
    set -l first ''
    for word in (commandline -opc)[2..]
        if test $skip = 1
            set skip 0
            continue
        end
        if contains -- "$first $word" ${valuedIn(all).map(quote).join(" ")}
            set skip 1
            continue
        end
        switch $word
            case --
                break
            case ${valued(all).join(" ")}
                set skip 1
            case '-*'
            case '*'
                test -z $first; and set first $word
                echo -- $word
        end
    end
end

# The longest run of leading words that is a command, then the number of positionals behind it.
function __plasmite_place
    set -l words (__plasmite_words)
    set -l path ''
    set -l rest (count $words)
    for i in (seq (count $words))
        set -l longer (string join ' ' -- $words[1..$i])
        if contains -- $longer ${paths}
            set path $longer
            set rest (math (count $words) - $i)
        else
            break
        end
    end
    echo $path
    echo $rest
end

# The first positional behind the command.
function __plasmite_pool
    set -l words (__plasmite_words)
    set -l place (__plasmite_place)
    echo $words[(math (count $words) - $place[2] + 1)]
end

# Whether the cursor is in that command, and at that positional if one is given.
function __plasmite_at
    set -l place (__plasmite_place)
    test "$place[1]" = "$argv[1]"; and test -z "$argv[2]" -o "$place[2]" = "$argv[2]"
end

# Whether the line is \`help\` and these words.
function __plasmite_topic
    set -l words (__plasmite_words)
    test "$words" = (string trim -- "help $argv")
end

# What may follow in the command behind --.
function __plasmite_child
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words); or return
    set -e words[1..$at]
    complete -C (string join ' ' -- $words (commandline -ct))
end

# Runs the program itself, with the --dir of the line.
function __plasmite_ask
    set -l words (commandline -opc)
    set -l dir
    for i in (seq 2 (count $words))
        switch $words[$i]
            case --dir
                test $i -lt (count $words); and set dir --dir $words[(math $i + 1)]
            case '--dir=*'
                set dir --dir (string replace -- --dir= '' $words[$i])
        end
    end
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    $program $dir __complete $argv 2>/dev/null
end

complete -c plasmite -e
complete -c plasmite -f
${all.map(lines).join("")}complete -c pls -e
complete -c pls -w plasmite
`;
}

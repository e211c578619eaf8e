/**
 * Completion scripts for PowerShell and elvish: both walk the line to find the command, then offer
 * its words.
 *
 * @module
 */

import { type Node, spellings, valued, valuedIn } from "./completion.ts";

/** Quotes for both shells: a doubled quote stands for one. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Word and help of everything that may come next in a command. */
function words({ flags, commands }: Node): [string, string][] {
  return [
    ...commands.map((one): [string, string] => [one.name, one.about]),
    ...flags.flatMap((flag) => spellings(flag).map((name): [string, string] => [name, flag.help])),
  ];
}

/** Values that can be listed, by option spelling; a name means the same in all commands. */
function listed(all: readonly Node[]): [string, readonly string[]][] {
  const found = new Map<string, readonly string[]>();
  for (const flag of all.flatMap((node) => node.flags)) {
    if (flag.values === undefined) continue;
    for (const name of spellings(flag)) found.set(name, flag.values);
  }
  return [...found];
}

/** Paths of the commands whose first positional is a pool. */
function poolPaths(all: readonly Node[]): string[] {
  return all.filter((node) => node.args[0]?.complete === "pool").map((node) => node.path);
}

/** Makes the script for PowerShell. */
export function powershell(all: readonly Node[]): string {
  const table = all.map((node) => {
    const entries = words(node).map(([word, help]) => `@(${quote(word)}, ${quote(help)})`);
    return `    ${quote(node.path)} = @(\n      ${entries.join(",\n      ")})\n`;
  }).join("");
  const values = listed(all).map(([name, list]) => `    ${quote(name)} = @(${list.map(quote)})\n`);
  return `# PowerShell completion for plasmite and pls; made by \`plasmite completion powershell\`
using namespace System.Management.Automation

Register-ArgumentCompleter -Native -CommandName 'plasmite', 'pls' -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = [System.Collections.Hashtable]::new([System.StringComparer]::Ordinal)
  @{
${table}  }.GetEnumerator() | ForEach-Object { $words[$_.Key] = $_.Value }
  $values = [System.Collections.Hashtable]::new([System.StringComparer]::Ordinal)
  @{
${values.join("")}  }.GetEnumerator() | ForEach-Object { $values[$_.Key] = $_.Value }
  $valued = @(${valued(all).map(quote).join(", ")})
  $valuedIn = @(${valuedIn(all).map(quote).join(", ")})
  $pools = @(${poolPaths(all).map(quote).join(", ")})
  $path = ''; $option = ''; $dir = @(); $count = 0
  $line = @($commandAst.CommandElements | Select-Object -Skip 1 |
    Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { $_.ToString() })
  foreach ($word in $line) {
    if ($option) { if ($option -ceq '--dir') { $dir = @('--dir', $word) }; $option = ''; continue }
    if ($valued -ccontains $word -or $valuedIn -ccontains "$path $word") { $option = $word; continue }
    if ($word.StartsWith('-')) { continue }
    $longer = ("$path $word").Trim()
    if ($words.ContainsKey($longer)) { $path = $longer } else { $count++ }
  }
  if ($option) { $offers = @($values[$option] | Where-Object { $_ } | ForEach-Object { , @($_, $_) }) }
  else {
    $offers = @($words[$path])
    if ($count -eq 0 -and $pools -ccontains $path) {
      $program = $commandAst.CommandElements[0].ToString()
      $offers += @(& $program @dir __complete pool 2>$null | ForEach-Object { , @($_, 'pool') })
    }
  }
  $offers | Where-Object { $_[0] -like "$wordToComplete*" } |
    ForEach-Object { [CompletionResult]::new($_[0], $_[0], 'ParameterValue', $_[1]) }
}
`;
}

/** Makes the script for elvish. */
export function elvish(all: readonly Node[]): string {
  const table = all.map((node) => {
    const entries = words(node).map(([word, help]) => `[${quote(word)} ${quote(help)}]`);
    return `  &${quote(node.path)}=[${entries.join(" ")}]\n`;
  }).join("");
  const values = listed(all).map(([name, list]) =>
    `  &${quote(name)}=[${list.map(quote).join(" ")}]\n`
  );
  return `# elvish completion for plasmite and pls; made by \`plasmite completion elvish\`
use str

var plasmite-words = [
${table}]
var plasmite-values = [
${values.join("")}]
var plasmite-valued = [${valued(all).map(quote).join(" ")}]
var plasmite-valued-in = [${valuedIn(all).map(quote).join(" ")}]
var plasmite-pools = [${poolPaths(all).map(quote).join(" ")}]

fn plasmite-complete {|@line|
  var path = ''
  var option = ''
  var dir = []
  var count = (num 0)
  for word $line[1..-1] {
    if (not-eq $option '') {
      if (eq $option '--dir') { set dir = ['--dir' $word] }
      set option = ''
    } elif (or (has-value $plasmite-valued $word) (has-value $plasmite-valued-in $path' '$word)) {
      set option = $word
    } elif (not (str:has-prefix $word '-')) {
      var longer = (str:trim-space $path' '$word)
      if (has-key $plasmite-words $longer) { set path = $longer } else { set count = (+ $count 1) }
    }
  }
  if (not-eq $option '') {
    if (has-key $plasmite-values $option) { all $plasmite-values[$option] }
  } else {
    for entry $plasmite-words[$path] {
      edit:complex-candidate $entry[0] &display=$entry[0]'  '$entry[1]
    }
    if (and (== $count 0) (has-value $plasmite-pools $path)) {
      try { (external $line[0]) $@dir __complete pool 2>/dev/null } catch { }
    }
  }
}

set edit:completion:arg-completer[plasmite] = $plasmite-complete~
set edit:completion:arg-completer[pls] = $plasmite-complete~
`;
}

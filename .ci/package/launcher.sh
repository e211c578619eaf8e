#!/bin/sh
# The `plasmite` and `pls` commands of the archive, the Debian package and the npm package. Finds the
# program and its Deno from its own place, through symbolic links, without PATH, and becomes Deno:
# signals, exit codes and the bytes of the arguments need no help from here.
#
# To start another program takes as long as a tenth of a short command, so what is usual is found with
# what the shell has built in; `readlink` and `uname` are asked only for what is not.

self=$0
case $self in
  */*) ;;
  *) if [ -f "./$self" ]; then self=./$self; else self=$(command -v -- "$self"); fi ;;
esac
case $self in /*) ;; *) self=./$self ;; esac
here=${self%/*}

# Links are read one at a time, as no option that follows them all exists everywhere. The dot keeps
# line ends that belong to a name.
link_of() {
  if [ -x /usr/bin/readlink ]; then /usr/bin/readlink "$1" && echo .
  elif [ -x /bin/readlink ]; then /bin/readlink "$1" && echo .
  else readlink "$1" && echo .
  fi
}

# Sets `here` to where the links of $self lead.
follow_links() {
  hops=0
  while [ -h "$self" ] && [ "$hops" -lt 40 ]; do
    link=$(link_of "$self") || break
    link=${link%?.}
    case $link in
      /*) self=$link ;;
      *) self=${self%/*}/$link ;;
    esac
    hops=$((hops + 1))
  done
  here=${self%/*}
}

# Sets `here` as npm (with and without -g), the Debian package and the archive make their links, if
# this is such a one; fails where it is not, or where the shell cannot compare files.
guess_link() {
  for guess in "$here/../lib/node_modules/@plasmite/core/bin" "$here/../@plasmite/core/bin" \
    "$here/../lib/plasmite" "$here"; do
    # Where a shell has no -ef, this fails, and the links are followed one by one.
    # shellcheck disable=SC3013
    if [ "$guess/plasmite" -ef "$self" ] && [ ! -h "$guess/plasmite" ]; then
      here=$guess
      return 0
    fi
  done 2>/dev/null
  return 1
}
if [ -h "$self" ]; then guess_link || follow_links; fi

# Sets `deno` to the executable of the npm package `deno` in $1: where its install script puts it, or
# in the package for this machine, which stands inside it or beside it (also where $1 is a link).
deno_in() {
  deno=$1/deno
  if [ -f "$deno" ] && [ -x "$deno" ]; then return 0; fi
  found=
  for deno in "$1/node_modules/@deno/"*/deno "$1/../@deno/"*/deno; do
    if [ -f "$deno" ] && [ -x "$deno" ]; then found=$found.; fi
  done
  if [ -z "$found" ]; then return 1; fi
  for deno in "$1/node_modules/@deno/"*/deno "$1/../@deno/"*/deno; do
    if [ -f "$deno" ] && [ -x "$deno" ] && fits "$deno"; then return 0; fi
  done
  return 1
}

# Whether a path is of this machine, where package managers were told to fetch several or others.
# Linux tells its processor in a file; where it is emulated (a container for another machine), only
# `uname` tells which, so what the file says counts only for a package that is the only one.
fits() {
  if [ "$found" = . ] && [ -r /proc/sys/kernel/arch ]; then
    read -r machine </proc/sys/kernel/arch
    if of_machine "$1" "Linux $machine"; then return 0; fi
  fi
  for uname in /usr/bin/uname /bin/uname uname; do
    machine=$("$uname" -sm 2>/dev/null) && break
  done
  of_machine "$1" "$machine"
}
of_machine() {
  case $2:$1 in
    "Linux x86_64:"*/@deno/linux-x64-*) ;;
    "Linux aarch64:"*/@deno/linux-arm64-* | "Linux arm64:"*/@deno/linux-arm64-*) ;;
    "Darwin x86_64:"*/@deno/darwin-x64/*) ;;
    "Darwin arm64:"*/@deno/darwin-arm64/*) ;;
    *) return 1 ;;
  esac
}

if [ -x "$here/lib/deno" ]; then
  deno=$here/lib/deno
  program=$here/lib/cli.js
else
  # As Node looks for a package: node_modules of this folder, and of each one above it.
  program=$here/../cli.js
  up=$here/..
  levels=0
  until deno_in "$up/node_modules/deno"; do
    up=$up/..
    levels=$((levels + 1))
    if [ "$levels" -ge 40 ]; then
      echo "plasmite: The npm package deno has no executable for this machine in any node_modules" \
        "above $here; install again, with optional dependencies" >&2
      exit 1
    fi
  done
fi

# What the program does when it sees that it was called `pls` (the name ends here).
case $#:${0##*/} in 0:pls) set -- --help ;; esac
export DENO_NO_UPDATE_CHECK=1 # Pools on this machine are no reason to ask a server of Deno's.
exec "$deno" run -A --quiet --no-config --no-lock --unstable-lazy-dynamic-imports \
  --unstable-no-legacy-abort "$program" "$@"

#!/bin/sh
# The `plasmite` and `pls` commands of the archive, the Debian package and the npm package. Finds the
# program and its Deno from its own place, through symbolic links, without PATH, and becomes Deno:
# signals, exit codes and the bytes of the arguments need no help from here.

self=$0
case $self in
  */*) ;;
  *) if [ -f "./$self" ]; then self=./$self; else self=$(command -v -- "$self"); fi ;;
esac

# Links are read one at a time, as no option that follows them all exists everywhere. The dot keeps
# line ends that belong to a name.
link_of() {
  if [ -x /usr/bin/readlink ]; then /usr/bin/readlink "$1" && echo .
  elif [ -x /bin/readlink ]; then /bin/readlink "$1" && echo .
  else readlink "$1" && echo .
  fi
}
hops=0
while [ -h "$self" ] && [ "$hops" -lt 40 ]; do
  case $self in /*) ;; *) self=./$self ;; esac
  link=$(link_of "$self") || break
  link=${link%?.}
  case $link in
    /*) self=$link ;;
    *) self=${self%/*}/$link ;;
  esac
  hops=$((hops + 1))
done
case $self in /*) ;; *) self=./$self ;; esac
here=${self%/*}

# Sets `deno` to the executable of the npm package `deno` in $1: where its install script puts it, or
# in the package for this machine, which stands inside it or beside it (also where $1 is a link).
deno_in() {
  for deno in "$1/deno" "$1/node_modules/@deno/"*/deno "$1/../@deno/"*/deno; do
    if [ -f "$deno" ] && [ -x "$deno" ] && fits "$deno"; then return 0; fi
  done
  return 1
}

# Whether a path is of this machine, where package managers were told to fetch several.
machine=
fits() {
  case $1 in */@deno/*) ;; *) return 0 ;; esac
  if [ -z "$machine" ]; then
    for uname in /usr/bin/uname /bin/uname uname; do
      machine=$("$uname" -sm 2>/dev/null) && break
    done
  fi
  case $machine in
    "Linux x86_64") case $1 in */@deno/linux-x64-*) return 0 ;; esac ;;
    "Linux aarch64" | "Linux arm64") case $1 in */@deno/linux-arm64-*) return 0 ;; esac ;;
    "Darwin x86_64") case $1 in */@deno/darwin-x64/*) return 0 ;; esac ;;
    "Darwin arm64") case $1 in */@deno/darwin-arm64/*) return 0 ;; esac ;;
  esac
  return 1
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

#!/bin/sh
# Installs plasmite for this machine, with its own Deno, after checking the checksum. With
# --to DIR/bin the program goes into DIR/lib/plasmite, and the commands into DIR/bin.
#
#   sh install.sh                     newest release into ~/.local/bin
#   sh install.sh --to /usr/local/bin --version 0.1.0
#   PLASMITE_RELEASES=file:///media/usb/plasmite sh install.sh --version 0.1.0
#
# PLASMITE_RELEASES is where the archives and SHA256SUMS are, or a GitHub page that ends in /releases.
# Nothing is installed unless the checksum is right.
set -eu

# The copy of this script in a release names that release's place here.
base=${PLASMITE_RELEASES:-@RELEASES@}
to=$HOME/.local/bin
version=
while [ $# -gt 0 ]; do
  case $1 in
    --to) to=$2; shift 2 ;;
    --version) version=${2#v}; shift 2 ;;
    *) echo "install.sh: unknown option $1 (known: --to DIR, --version X.Y.Z)" >&2; exit 2 ;;
  esac
done

case $(uname -s)-$(uname -m) in
  Linux-x86_64) target=x86_64-unknown-linux-gnu ;;
  Linux-aarch64 | Linux-arm64) target=aarch64-unknown-linux-gnu ;;
  Darwin-x86_64) target=x86_64-apple-darwin ;;
  Darwin-arm64) target=aarch64-apple-darwin ;;
  Linux-armv*) echo "install.sh: a 64-bit system is needed (Raspberry Pi OS 64-bit)" >&2; exit 1 ;;
  *) echo "install.sh: no executable for $(uname -s) $(uname -m)" >&2; exit 1 ;;
esac

case $base in
  @*) echo "install.sh: set PLASMITE_RELEASES, or take install.sh from a release" >&2; exit 2 ;;
  */releases)
    if [ -n "$version" ]; then base=$base/download/v$version; else base=$base/latest/download; fi ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

get() { # get NAME
  curl -fsSL --proto '=https,http,file' -o "$work/$1" "$base/$1" || {
    echo "install.sh: cannot get $base/$1" >&2
    exit 1
  }
}

get SHA256SUMS
if [ -z "$version" ]; then
  version=$(sed -n "s/^[0-9a-f]*  plasmite-\(.*\)-$target\.tar\.gz\$/\1/p" "$work/SHA256SUMS" | head -n 1)
fi
name=plasmite-$version-$target
# Exactly one line of the list, and nothing else, decides.
grep "^[0-9a-f]\{64\}  $name\.tar\.gz\$" "$work/SHA256SUMS" > "$work/sum" || {
  echo "install.sh: SHA256SUMS has no line for $name.tar.gz" >&2
  exit 1
}
get "$name.tar.gz"
if command -v sha256sum > /dev/null; then check='sha256sum -c'; else check='shasum -a 256 -c'; fi
(cd "$work" && $check sum > /dev/null 2>&1) || {
  echo "install.sh: the checksum of $name.tar.gz is wrong; nothing was installed" >&2
  exit 1
}

tar xzf "$work/$name.tar.gz" -C "$work"
case $to in /*) ;; *) to=$PWD/$to ;; esac
case $to in */bin) lib=${to%/bin}/lib/plasmite ;; *) lib=$to/plasmite-lib ;; esac
mkdir -p "$to" "$lib"
# Complete folders only, then links by rename: what runs keeps the version it was started from.
place=$lib/$version
rm -rf "$lib/.new"
mv "$work/$name" "$lib/.new"
chmod -R go+rX "$lib/.new"
if [ -e "$place" ]; then rm -rf "$place"; fi # The same version: the same files.
mv "$lib/.new" "$place"
for command in plasmite pls; do
  ln -s "$place/$command" "$to/.$command.new"
  mv -f "$to/.$command.new" "$to/$command"
done
echo "installed $("$to/plasmite" --version) as $to/plasmite and $to/pls"
case :$PATH: in *":$to:"*) ;; *) echo "add $to to your PATH" ;; esac
for old in "$lib"/*; do
  if [ "$old" != "$place" ]; then echo "not needed any more: $old"; fi
done

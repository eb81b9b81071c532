#!/usr/bin/env bash
# Brings the sources of the standard library of this machine's rustc, for cargo's build-std.
#
#   tools/rust-src.sh FOLDER     FOLDER/library is there afterwards
#
# rustup's, where `rustup component add rust-src` has put them; else those of Debian's package rust-src of the very same
# version, whichever suite has it, which is unpacked and not installed (45 MB).
set -euo pipefail

folder=$(realpath -m "$1")
[ ! -d "$folder/library" ] || exit 0
mkdir -p "$folder"

theirs=$(rustc --print sysroot)/lib/rustlib/src/rust/library
if [ -f "$theirs/Cargo.lock" ]; then
  ln -s "$theirs" "$folder/library"
  exit 0
fi

# An apt of its own, with the mirror that this machine's apt has, so that nothing else gets newer.
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep -m1 '/debian/*$') ||
  { echo "rust-src: this machine's apt has no mirror of Debian: rustup component add rust-src" >&2; exit 1; }
apt=$(mktemp -d)
trap 'rm -rf "$apt"' EXIT
chmod 755 "$apt"
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
for suite in stable-backports testing sid experimental; do
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
done >"$apt/sources.list"
cat >"$apt/conf" <<END
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "-";
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt/cache";
Acquire::Languages "none";
END
export APT_CONFIG=$apt/conf
version=$(rustc -V | cut -d' ' -f2)
apt-get update -qq >"$apt/log" 2>&1 || true
cd "$apt"
apt-get download -qq "rust-src=$version+*" >>"$apt/log" 2>&1 || {
  cat "$apt/log" >&2
  echo "rust-src: Debian has no rust-src of version $version, but: $(apt-cache madison rust-src | cut -d'|' -f2 | tr -d '\n')" >&2
  exit 1
}
dpkg-deb --fsys-tarfile rust-src_*.deb | tar -x --wildcards './usr/src/rustc-*/library'
mv usr/src/rustc-*/library "$folder/library"

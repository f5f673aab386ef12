#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What `npm pack` does first: copies the product's files to framework/, and the program as it was built for this
# platform to dist/PLATFORM. The build directory is $MOSAIC_BUILD, build/ of the checkout unless said.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
source=$(CDPATH='' cd -- "$here/../.." && pwd)
build=${MOSAIC_BUILD:-$source/build}
platform=$(uname -s)-$(uname -m)

rm -rf "$here/framework" "$here/dist"
mkdir -p "$here/framework"
for folder in fleet systemd tools; do
        cp -R "$source/framework/$folder" "$here/framework/"
done
cp "$source/schema/roster.schema.json" "$here/framework/fleet/"

if [ "$(uname -s)" != Linux ]; then
        lacking="mosaic runs on Linux only, and this is $platform"
elif [ ! -x "$build/mosaic" ]; then
        lacking="there is no $build/mosaic; build first: ./bootstrap build"
else
        lacking=''
fi
if [ -n "$lacking" ]; then
        echo "prepack: no program can be packed: $lacking" >&2
        [ "${npm_config_dry_run:-}" = true ] && exit 0 # only a list was asked for
        exit 1
fi

# The whole installation below its prefix: the program finds its parts beside itself.
staged=$(mktemp -d)
trap 'rm -rf "$staged"' EXIT
meson install -C "$build" --no-rebuild --quiet --destdir "$staged" --tags runtime,man >&2
program=$(find "$staged" -path '*/bin/mosaic' -type f)
prefix=${program%/bin/mosaic}
strip "$prefix/bin/mosaic" "$prefix"/libexec/mosaic/*
rm -rf "$prefix/share/mosaic/framework" # it is in framework/
mkdir -p "$here/dist/$platform"
mv "$prefix"/* "$here/dist/$platform/"

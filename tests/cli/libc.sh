#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: libc.sh FOLDER TEST
# Runs a test with the C library that lies in a folder of the cache, in place of this machine's: another version makes other system
# calls for the same functions, and the sandbox must know them. VMM_PROGRAM is the program that is tested.
set -eu
cache=${VMM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vmm}
from=$cache/$1/usr/lib/x86_64-linux-gnu
if ! "$from/ld-linux-x86-64.so.2" --version >/dev/null 2>&1; then
	echo "skipped: there is no C library in $from; scripts/setup --all --sid fetches it"
	exit 77
fi
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
for name in libc libm libdl libpthread librt libresolv; do
	ln -s "$from/$name.so".[0-9] "$folder" # the pattern stands for itself where the folder lacks it
done
cat >"$folder/vmm" <<END
#!/bin/sh
exec "$from/ld-linux-x86-64.so.2" --library-path "$folder" "$VMM_PROGRAM" "\$@"
END
chmod +x "$folder/vmm"
"$from/ld-linux-x86-64.so.2" --version | head -n 1
OTHER_LIBC=$1 VMM_PROGRAM=$folder/vmm "$2"

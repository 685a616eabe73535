#!/bin/sh
# One piece of a part, $FILE, from standard input: packs it, and notes its digest. split calls this.
set -eu
cd "${scratch:?}"
cat >"${FILE:?}"
sha256sum "$FILE" >>digests
tar --create --file=- "$FILE"
rm "$FILE"

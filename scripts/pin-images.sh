#!/usr/bin/env bash
# Pins the images that deploy/ builds on and starts, so that a tag that is moved
# changes nothing here:
#
#   scripts/pin-images.sh           writes name:tag@sha256:… , with the digest that
#                                   each tag has now
#   scripts/pin-images.sh --check   changes nothing; fails if an image has no
#                                   digest, or one that is not its tag's any more
#
# It asks the registry, through Docker with buildx.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

check=
case ${1-} in
"") ;;
--check) check=1 ;;
*) echo "usage: $0 [--check]" >&2; exit 2 ;;
esac

digest() { docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$1"; }

wrong=0
for file in deploy/Dockerfile deploy/compose.yaml; do
	# An image that is built here has no name in these files.
	images=$(sed -nE 's/^(FROM|[[:space:]]+image:)[[:space:]]+([^[:space:]]+).*/\2/p' "$file" | sort -u)
	for image in $images; do
		name=${image%%@*}
		pinned=$name@$(digest "$name")
		case $pinned in *@sha256:*) ;; *) echo "$name: no digest could be had" >&2; exit 1 ;; esac
		[ "$image" != "$pinned" ] || continue
		if [ -n "$check" ]; then
			echo "$file: $image is not $pinned" >&2
			wrong=1
		else
			sed -E "s|^(FROM\|[[:space:]]+image:)([[:space:]]+)$image([[:space:]]\|\$)|\1\2$pinned\3|" "$file" >"$file.pinned"
			cat "$file.pinned" >"$file"
			rm "$file.pinned"
			echo "$file: $pinned"
		fi
	done
done
exit "$wrong"

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Keeps a line of each event, its position and some members of its payload: keep.sh FILE MEMBER...
#
# `day` is that on which the event occurred. What comes again is known by its position, since events come in order. Texts
# hold nothing that JSON escapes.
set -u
file=$1
shift
tab=$(printf '\t')
[ ! -s "$file" ] || last=$(tail -n 1 "$file" | cut -f 1)
: "${last:=0}"

while IFS= read -r event; do
	position=${event#*\"global_position\":}
	position=${position%%,*}
	if [ "$position" -gt "$last" ]; then
		last=$position line=$position payload=${event#*\"payload\":}
		for name; do
			case $name in
			day) value=${event#*\"occurred_at\":\"} value=${value%%T*} ;;
			*) value=${payload#*\"$name\":\"} value=${value%%\"*} ;;
			esac
			line=$line$tab$value
		done
		printf '%s\n' "$line" >>"$file"
	fi
	echo ok
done

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Keeps each event as a file of its own in a folder, for whoever collects them: spool.sh FOLDER
#
# A file is named by the event's position, written aside and moved into place, so that one that comes again replaces itself:
#
#     tide handle --name spool --type OrderPlaced -- ./spool.sh out
set -u
folder=$1
mkdir -p "$folder"

while IFS= read -r event; do
	position=${event#*\"global_position\":}
	position=${position%%,*}
	if printf '%s\n' "$event" >"$folder/.new" && mv "$folder/.new" "$folder/$position.json"; then
		echo ok
	else
		echo "retry '$folder' cannot be written to"
	fi
done

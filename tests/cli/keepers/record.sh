#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Notes the position of each event that it is sent, before it answers: record.sh FILE
set -u

while IFS= read -r event; do
	position=${event#*\"global_position\":}
	echo "${position%%,*}" >>"$1"
	echo ok
done

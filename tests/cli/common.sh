# SPDX-License-Identifier: Apache-2.0
# For tests of the command: TEST SOURCE TIDE. Sets `tide` and `scratch`, goes there, and adds checks to claims.sh.
source=$1
tide=$2
. "$source/tests/abi/claims.sh"
cd "$scratch" || exit 1
unset TIDE_STORE
TZ=UTC LC_ALL=C
export TZ LC_ALL

# A claim about one call: status STATUS COMMAND... leaves what it wrote in `out` and `err`.
status() {
	wanted=$1
	shift
	"$@" >out 2>err </dev/null
	got=$?
	[ $got -eq "$wanted" ] || { echo "status $got instead of $wanted: $*"; cat out err; return 1; }
}
# The file holds the text.
holds() {
	grep -qF -e "$2" "$1" || { echo "'$2' is not in $1:"; cat "$1"; return 1; }
}
# The call fails with this status and says this on standard error, as text and as JSON.
refuses() { # STATUS NAME TEXT COMMAND...
	wanted_status=$1 wanted_name=$2 wanted_text=$3
	shift 3
	status "$wanted_status" "$@" && holds err "$wanted_text" && test ! -s out &&
		status "$wanted_status" "$@" --json && holds err "{\"error\":{\"name\":\"$wanted_name\",\"message\":\""
}
# The keys of one line of JSON, of the outermost object as long as no value holds an object.
keys() { head -n 1 "$1" | grep -o '"[a-z_]*":' | tr -d '":' | tr '\n' ' ' | sed 's/ $//'; }
has_keys() {
	[ "$(keys "$1")" = "$2" ] || { echo "keys '$(keys "$1")' instead of '$2'"; return 1; }
}
equal() { [ "$1" = "$2" ] || { echo "'$1' is not '$2'"; return 1; }; }
# The value of a number or word in one line of JSON.
value() { head -n 1 "$1" | sed -n "s/.*\"$2\":\"\{0,1\}\([^,\"}]*\).*/\1/p"; }
count_lines() { awk 'END { print NR }' "$1"; }
# Look until a command succeeds, for at most 30 seconds.
eventually() {
	looks=0
	until "$@" >/dev/null 2>&1; do
		looks=$((looks + 1))
		[ $looks -lt 1500 ] || { echo "never came true: $*"; return 1; }
		sleep 0.02
	done
}
# A new store, and the default of the calls that follow.
new_store() {
	TIDE_STORE=sqlite:$scratch/$1.db
	export TIDE_STORE
	"$tide" init >/dev/null
}
# Eight processes begin at once with the file together.sql on a fresh store: one runs init, the others stand by, and none fails.
# RUNS: the command that counts how often init ran.
starts_together() {
	"$tide" append Order/name:1 OrderPlaced >out || return
	pids=
	for number in 1 2 3 4 5 6 7 8; do
		"$tide" project together.sql >"together$number.out" 2>"together$number.err" &
		pids="$pids $!"
	done
	eventually sh -c '[ "$(grep -l "standing by" together?.err | wc -l)" -eq 7 ]'
	result=$?
	eventually sh -c "'$tide' lag together --json | grep -q '\"lag_events\":0'" || result=1
	equal "$("$@")" 1 || result=1
	kill -TERM $pids
	for pid in $pids; do
		wait "$pid" || { echo "one ended with status $?"; cat together?.err; result=1; }
	done
	return $result
}
# Eight different projections that make one thing in common.
start_apart() {
	pids=
	for number in 1 2 3 4 5 6 7 8; do
		sed "s/own/own$number/g" apart.sql >"apart$number.sql"
		"$tide" project "apart$number.sql" --once >"apart$number.out" 2>"apart$number.err" &
		pids="$pids $!"
	done
	result=0
	for pid in $pids; do
		wait "$pid" || { echo "one ended with status $?"; cat apart?.err; result=1; }
	done
	return $result
}
# Events of five streams as import wants them: events FIRST LAST
events() {
	awk -v first="$1" -v last="$2" 'BEGIN {
		for (i = first; i <= last; i++)
			printf "{\"event_id\":\"name:event %d\",\"event_type\":\"%s\",\"aggregate_type\":\"Order\",\"aggregate_id\":\"name:order %d\",\"payload\":{\"number\":%d,\"total\":%d}}\n", \
				i, i % 3 ? "OrderPlaced" : "OrderPaid", i % 5, i, i * 10
	}'
}

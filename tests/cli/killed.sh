# SPDX-License-Identifier: Apache-2.0
# For tests that kill `tide rebuild $name` where it stands beside what serves. What does not stay long enough to be seen is held by
# a trigger: whoever comes to it writes what nobody else would (SQLite), or sleeps (PostgreSQL), until it is killed.
#
# Of the script: name, is_postgres, build, new and old (the files of what is built and of what it takes the place of), query,
# run_sql, back, drop, clear_scratch, is_made, is_whole, content (of which `wanted` is what it has to be) and picture (`before`).
held='held_until_killed'
if [ $is_postgres = true ]; then
	moments='fenced renamed stored'
	keep_at() {
		query "CREATE FUNCTION $held() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(600); RETURN NULL; END';
			CREATE TRIGGER $held AFTER $1 FOR EACH ROW WHEN ($2) EXECUTE FUNCTION $held()"
	}
	is_held() { [ "$(run_sql "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")" = 1 ]; }
	let_go() {
		run_sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'" >/dev/null &&
			query "SET client_min_messages = warning; DROP FUNCTION IF EXISTS $held CASCADE"
	}
else
	moments='locked fenced renamed stored'
	keep_at() {
		query "CREATE TABLE $held (filler BLOB); CREATE TRIGGER $held AFTER $1 WHEN $2 BEGIN
			INSERT INTO $held VALUES (zeroblob(16000000)); SELECT count(*) FROM events a, events b, events c, events d; END"
	}
	is_held() { [ "$(stat -c %s shop.db-wal)" -gt 8000000 ]; }
	let_go() { query "DROP TRIGGER IF EXISTS $held; DROP TABLE IF EXISTS $held"; }
fi
# In the order in which a call comes to them; all but the last are in its transaction. Of these `renamed` is not in --drop-old, `dropped` there alone.
hold() { # MOMENT
	case $1 in
	locked) keep_at 'UPDATE ON projection_rebuilds' 'new.state = old.state AND new.reached = old.reached' ;;
	fenced) keep_at 'UPDATE ON subscription_leases' 'new.epoch > old.epoch' ;;
	renamed) keep_at 'UPDATE ON projection_checkpoints' 'new.projection_name <> old.projection_name' ;;
	dropped) keep_at 'DELETE ON projection_checkpoints' "old.projection_name LIKE '$name%'" ;;
	stored) keep_at 'UPDATE ON projection_rebuilds' 'new.state <> old.state' ;;
	told) keep_at 'INSERT ON subscription_journal' "new.act IN ('rebuild', 'swap')" ;;
	esac
}
# 2: it had ended by itself. What is killed is the process itself, and not a shell that waits for it.
killed_when() { # SEEN FILE ARGUMENT...
	seen=$1 file=$2
	shift 2
	"$tide" rebuild "$name" --file "$file.sql" "$@" >killed.out 2>&1 &
	running=$!
	until $seen 2>/dev/null || ! kill -0 $running 2>/dev/null; do :; done
	kill -KILL $running 2>/dev/null
	wait $running 2>/dev/null
	[ $? = 137 ] || return 2
	let_go && clear_scratch && is_whole
}
held_at() { # MOMENT FILE ARGUMENT...
	moment=$1
	shift
	hold "$moment" && killed_when is_held "$@" && return
	echo "killed at: $moment $*"
	cat killed.out
	return 1
}
# By the row: the old one or the new one; once it has ended, what did before.
find_serving() {
	state=$(query "SELECT state FROM projection_rebuilds WHERE name = '$name'") || return
	case $state in
	beside) serves=$old ;;
	swapped) serves=$new ;;
	esac
}
is_swapped() { find_serving && [ "$state" = swapped ]; }
is_same() { content >got && diff wanted got; }
swaps() { status 0 "$tide" rebuild "$name" --file "$new.sql" --beside --expect-different && is_swapped && is_whole; }
# So that the next one has a swap to make.
undo_swap() {
	! is_swapped || { status 0 back "$old" && is_whole && status 0 drop "$old" && build=$((build + 1)); }
}
# Nothing holds it on its way there: one that was not seen is undone, and begun again.
build_is_killed() { # SEEN...
	for step in "$@"; do
		for _ in 1 2 3 4 5 6 7 8; do
			killed_when "$step" "$new" --beside --expect-different
			result=$?
			undo_swap || return
			[ $result = 2 ] || break
		done
		[ $result = 0 ] || { echo "killed when: $step: $result"; cat killed.out; return 1; }
		is_same || return
	done
}
swap_is_killed() {
	for moment in $moments; do
		held_at "$moment" "$new" --beside --expect-different && ! is_swapped && is_same || return
	done
	held_at told "$new" --beside --expect-different && is_swapped
}
swap_back_is_killed() {
	for moment in $moments; do
		held_at "$moment" "$old" --swap-back && is_swapped || return
	done
	held_at told "$old" --swap-back && ! is_swapped && picture >after && diff before after
}
# Until it has ended, what was replaced is whole, and is taken back to.
drop_is_killed() {
	for moment in $moments; do
		case $moment in
		fenced) continue ;;
		renamed) moment=dropped ;;
		esac
		swaps && held_at "$moment" "$old" --drop-old && is_swapped && status 0 back "$old" && is_whole && picture >after && diff before after || return
	done
	swaps && held_at told "$old" --drop-old && equal "$state" ended && ! is_made
}

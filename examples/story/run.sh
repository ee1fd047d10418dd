#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Tidemark at work on real events, in a few seconds: run.sh BUILD_DIR
#
# The history of this checkout becomes events (where it has none, what the machine did with its packages); two projections
# in SQL make read models of it, follow events as they are appended, are killed and resume.
set -eu

build=$(cd "${1:?usage: run.sh BUILD_DIR}" && pwd)
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
story=examples/story
tide=$build/src/cli/tide
work=$build/story
[ -x "$tide" ] || { echo "run.sh: '$tide' is not built" >&2; exit 1; }
command -v sqlite3 >/dev/null || { echo "run.sh: the sqlite3 shell is needed to show the read models" >&2; exit 1; }

rm -rf "$work"
mkdir -p "$work"
TIDE_STORE=sqlite:$work/story.db
export TIDE_STORE

if [ -t 1 ]; then
	bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m')
else
	bold='' dim='' plain=''
fi

running=''
# Whatever happens, no projection outlives the story.
leave() {
	for process in $running; do
		kill "$process" 2>/dev/null || :
	done
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
say() { printf '%s\n' "$*"; }
# Words as they have to be typed: what a shell would take apart or replace is quoted.
typed() {
	for word; do
		case $word in
		'' | *[!A-Za-z0-9_@%+=:,./-]*) printf " '%s'" "$(printf '%s' "$word" | sed "s/'/'\\\\''/g")" ;;
		*) printf ' %s' "$word" ;;
		esac
	done
}
# Show a command as a reader would type it, then run it.
run() {
	printf '%s$ tide%s%s\n' "$dim" "$(typed "$@")" "$plain"
	"$tide" "$@"
}
query() { sqlite3 -cmd '.timeout 5000' "$@" "$work/story.db"; }
show() { echo "$1" | query -header -column | sed 's/^/  /; s/ *$//'; }
ask() { echo "$1" | query; }
# One number out of a line of JSON: field NAME < LINE
field() { sed -n "s/.*\"$1\":\([0-9-]*\).*/\1/p"; }
lag() { "$tide" lag "$1" --json 2>/dev/null | field lag_events; }
# Look every 20 ms until a command succeeds, for at most 10 seconds.
wait_for() {
	looks=0
	until "$@"; do
		looks=$((looks + 1))
		[ "$looks" -lt 500 ] || { echo "run.sh: waited too long for: $*" >&2; exit 1; }
		sleep 0.02
	done
}
is_caught_up() { [ "$(lag "$1")" = 0 ]; }

has_git=no
if command -v git >/dev/null && git -C "$root" rev-parse --verify --quiet HEAD >/dev/null 2>&1 &&
	[ "$(cd "$(git -C "$root" rev-parse --show-toplevel)" && pwd)" = "$root" ]; then
	has_git=yes
elif [ ! -s /var/log/dpkg.log ]; then
	echo "run.sh: there is neither a git history here nor /var/log/dpkg.log, so there are no real events to show" >&2
	exit 1
fi

if [ $has_git = yes ]; then
	first=authors second=lines
	history() { $story/git-history; }
	source_text="the git history of this checkout: one event per commit and per file changed"
	first_sql="SELECT author, commits, substr(first_at, 1, 10) AS first, substr(last_at, 1, 10) AS last
		FROM authors ORDER BY commits DESC, author LIMIT 5"
	second_sql="SELECT month, path, changes, added, deleted FROM lines ORDER BY added + deleted DESC, path LIMIT 8"
	counted_sql="SELECT coalesce(sum(changes), 0) FROM lines"
	log_sql="SELECT count(*) FROM events WHERE event_type = 'FileChanged' AND global_position <="
	live() {
		"$tide" append Commit/name:live:"$1" CommitMade "{\"author\": \"You, just now\", \"sha\": \"live $1\"}" >/dev/null
		run append File/name:live FileChanged \
			"{\"author\": \"You, just now\", \"path\": \"live.txt\", \"added\": $1, \"deleted\": 0}"
	}
	live_sql="SELECT author, commits, (SELECT sum(added) FROM lines WHERE path = 'live.txt') AS lines_added
		FROM authors WHERE author = 'You, just now'"
else
	first=packages second=actions
	history() { $story/dpkg-history; }
	source_text="this machine's /var/log/dpkg.log: one event per package action"
	first_sql="SELECT status, count(*) AS packages, max(substr(changed_at, 1, 10)) AS last FROM packages GROUP BY status
		ORDER BY 2 DESC"
	second_sql="SELECT day, action, count FROM actions ORDER BY day DESC, count DESC LIMIT 8"
	counted_sql="SELECT coalesce(sum(count), 0) FROM actions"
	log_sql="SELECT count(*) FROM events WHERE event_type = 'ActionTaken' AND global_position <="
	live() {
		"$tide" append Package/name:live StatusChanged \
			'{"package": "tidemark", "status": "installed", "version": "'"$1"'"}' >/dev/null
		run append Package/name:live ActionTaken \
			'{"package": "tidemark", "action": "upgrade", "from": "0", "to": "'"$1"'"}'
	}
	live_sql="SELECT package, status, version FROM packages WHERE package = 'tidemark'"
fi

step "1. Real events into a new store"
run init
say "Importing $source_text."
history >"$work/history.ndjson"
run import "$work/history.ndjson"
say "Importing it once more changes nothing: the ids are known."
run import "$work/history.ndjson"

step "2. Two projections, each a file of SQL, catch up"
run project $story/$first.sql --once
run project $story/$second.sql --once

step "3. Their read models are tables like any other"
show "$first_sql"
say ""
show "$second_sql"
if [ $has_git = yes ]; then
	echo "SELECT commits, author FROM authors" | query -separator '	' | LC_ALL=C sort >"$work/ours"
	git shortlog -sn HEAD | sed 's/^ *//' | iconv -c -f utf-8 -t utf-8 | LC_ALL=C sort >"$work/theirs"
	cmp -s "$work/ours" "$work/theirs" || { echo "run.sh: the read model differs from git shortlog -sn" >&2; exit 1; }
	say "(git shortlog -sn says the same.)"
fi

step "4. Live: both run while events are appended"
for name in $first $second; do
	printf '%s$ tide project %s/%s.sql &%s\n' "$dim" $story $name "$plain"
	"$tide" project $story/$name.sql >/dev/null 2>"$work/$name.log" &
	running="$running $!"
done
for number in 1 2 3; do
	live $number
done
wait_for is_caught_up $first
wait_for is_caught_up $second
show "$live_sql"
run checkpoints
run lag
for process in $running; do
	kill "$process"
	wait "$process" || :
done
running=''

step "5. Killed in the middle, and resumed"
say "'$second' begins anew, committing event by event, and is killed with SIGKILL on its way."
printf '%s$ tide project %s/%s.sql --reset --strategy every-event &%s\n' "$dim" $story $second "$plain"
end=$(ask 'SELECT max(global_position) FROM events')
# A short history may be done before the kill, or not begun on a slow machine: another delay then.
for delay in 0.1 0.05 0.03 0.02 0.04 0.07 0.2 0.5; do
	"$tide" project $story/$second.sql --reset --strategy every-event >/dev/null 2>"$work/$second.log" &
	victim=$!
	running=$victim
	sleep $delay
	kill -9 $victim 2>/dev/null || :
	wait $victim 2>/dev/null || :
	running=''
	position=$("$tide" checkpoints show $second --json 2>/dev/null | field global_position)
	if [ "${position:-0}" -gt 0 ] && [ "$position" -lt "$end" ]; then
		break
	fi
done
counted=$(ask "$counted_sql")
expected=$(ask "$log_sql ${position:-0}")
say "  killed at position ${position:-0} of $end; the read model has counted $counted events, the log has $expected up to there"
[ "$counted" = "$expected" ] || { echo "run.sh: they differ" >&2; exit 1; }
run project $story/$second.sql --once
counted=$(ask "$counted_sql")
expected=$(ask "$log_sql $end")
say "  now it has counted $counted, the whole log has $expected: nothing lost, nothing twice"
[ "$counted" = "$expected" ] || { echo "run.sh: they differ" >&2; exit 1; }
run doctor

step "What to try next"
cat <<TEXT
  export PATH='$build/src/cli':\$PATH TIDE_STORE='$TIDE_STORE'
  tide tail                                                   # and in another terminal:
  tide append Order/name:1001 OrderPlaced '{"total": 100}'
  tide read --limit 3                                         # or --type, --stream, --from, --json ...
  tide project $story/$first.sql                     # runs until Ctrl-C
  sqlite3 '$work/story.db'                           # the read models, and the events themselves
  tide --help
TEXT

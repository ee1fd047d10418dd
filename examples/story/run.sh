#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Tidemark at work on real events, in a few seconds: run.sh BUILD_DIR
#
# The history of this checkout becomes events (where it has none, what the machine did with its packages). One process keeps
# two read models in SQL and a program in Python up to date, is killed and goes on; each is asked why it is where it is, and
# audited at the end.
set -eu

build=$(cd "${1:?usage: run.sh BUILD_DIR}" && pwd)
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
story=examples/story
tide=$build/src/cli/tide
STORY=$build/story
TIDE_STORE=sqlite:$STORY/story.db
export STORY TIDE_STORE

die() { printf 'run.sh: %s\n' "$*" >&2; exit 1; }
[ -x "$tide" ] || die "'$tide' is not built"
for program in sqlite3 python3; do
	command -v $program >/dev/null || die "$program is needed"
done

if [ -t 1 ]; then
	bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m')
else
	bold='' dim='' plain=''
fi
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
show() { printf '%s$ %s%s\n' "$dim" "$*" "$plain"; }
# Show a command as a reader would type it, then run it.
run() {
	show "tide$(typed "$@")"
	"$tide" "$@"
}
query() { sqlite3 -cmd '.timeout 5000' "$@"; }
ask() { query "$STORY/story.db" "$1"; }
table() { query -header -column "$1" "$2" | sed 's/^/  /; s/ *$//'; }
position() { ask "SELECT coalesce(max(global_position), 0) FROM projection_checkpoints WHERE projection_name = '$1'"; }
end() { ask 'SELECT coalesce(max(global_position), 0) FROM events'; }
is_live() { [ -n "$(ask "$live_sql" | grep -v '|$')" ]; }
# Look every 20 ms until a command succeeds, for at most 20 seconds.
wait_for() {
	looks=0
	until "$@"; do
		looks=$((looks + 1))
		[ $looks -lt 1000 ] || { cat "$STORY/log" >&2; die "waited too long for: $*"; }
		sleep 0.02
	done
}

daemon=''
begin() {
	"$tide" run "$story/$history.conf" >>"$STORY/log" 2>&1 &
	daemon=$!
}
finish() { # SIGNAL
	kill "-$1" "$daemon"
	wait "$daemon" 2>/dev/null || :
	daemon=''
}
# Whatever happens, the daemon does not outlive the story, nor its program the daemon.
leave() { [ -z "$daemon" ] || finish KILL; }
trap leave EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
has_begun() { [ "$(position "$1")" -gt 0 ]; }
is_caught_up() {
	for name in $first $second words; do
		[ "$(position "$name")" = "$(end)" ] || return 1
	done
}

# ---- which history ----

# A history of a few commits, as of a shallow clone, shows nothing.
commits=0 log=${DPKG_LOG:-/var/log/dpkg.log}
if command -v git >/dev/null && [ "$(git rev-parse --show-toplevel 2>/dev/null || :)" = "$(pwd -P)" ]; then
	commits=$(git rev-list --count HEAD 2>/dev/null || echo 0)
fi
# What dpkg has installed, as lines of its log: its database has the last time of each package alone.
installed() {
	dpkg-query -W -f '${db-fsys:Last-Modified} ${Package}:${Architecture} ${Version}\n' | sort -n | TZ=UTC awk '{
		at = strftime("%Y-%m-%d %H:%M:%S", $1)
		print at " install " $2 " <none> " $3
		print at " status installed " $2 " " $3
	}'
}
if [ "$commits" -ge 20 ]; then
	history=git
	events() { $story/git-history; }
	source_text="the git history of this checkout: one event per commit and per file that it changed"
elif grep -q ' status ' "$log" 2>/dev/null; then
	history=dpkg
	events() { $story/dpkg-history "$log"; }
	source_text="this machine's $log, since there is no git history to speak of: one event per package action"
elif command -v dpkg-query >/dev/null; then
	history=dpkg
	events() { installed | $story/dpkg-history -; }
	source_text="the packages that dpkg has installed here, since there is neither a git history nor a log of it"
else
	die "there is neither a git history here nor anything of dpkg, so there are no real events to show"
fi

if [ $history = git ]; then
	first=authors second=lines counted_type=FileChanged
	counted_sql='SELECT coalesce(sum(changes), 0) FROM lines'
	first_sql="SELECT author, commits, substr(first_at, 1, 10) AS first, substr(last_at, 1, 10) AS last
		FROM authors ORDER BY commits DESC, author LIMIT 5"
	second_sql='SELECT month, path, changes, added, deleted FROM lines ORDER BY added + deleted DESC, path LIMIT 5'
	change_sql='UPDATE authors SET commits = commits + 1 WHERE author = (SELECT min(author) FROM authors)'
	live() {
		run append Commit/name:live CommitMade \
			'{"author": "You, just now", "sha": "live", "subject": "Add a tidemark"}'
		run append File/name:live FileChanged \
			'{"author": "You, just now", "path": "tidemark.txt", "added": 1, "deleted": 0}'
	}
	live_sql="SELECT author, commits, (SELECT added FROM lines WHERE path = 'tidemark.txt') AS lines_added
		FROM authors WHERE author = 'You, just now'"
else
	first=packages second=actions counted_type=ActionTaken
	counted_sql='SELECT coalesce(sum(count), 0) FROM actions'
	first_sql='SELECT status, count(*) AS packages, max(substr(changed_at, 1, 10)) AS last FROM packages
		GROUP BY status ORDER BY 2 DESC, 1'
	second_sql='SELECT day, action, count FROM actions ORDER BY day DESC, count DESC LIMIT 5'
	change_sql="UPDATE packages SET version = 'another' WHERE package = (SELECT min(package) FROM packages)"
	live() {
		run append Package/name:live StatusChanged \
			'{"package": "tidemark", "status": "installed", "version": "1"}'
		run append Package/name:live ActionTaken \
			'{"package": "tidemark", "action": "upgrade", "from": "0", "to": "1"}'
	}
	live_sql="SELECT package, status, version FROM packages WHERE package = 'tidemark'"
fi
config=$story/$history.conf

# What the second read model has counted, and what the log has up to its checkpoint; one statement sees one moment.
compare_with_log() {
	ask "SELECT ($counted_sql), count(*) FROM events WHERE event_type = '$counted_type' AND global_position <=
		coalesce((SELECT global_position FROM projection_checkpoints WHERE projection_name = '$second'), 0)" | tr '|' ' '
}

# ---- the story ----

make_store() {
	rm -rf "$STORY"
	mkdir -p "$STORY"
	run init
	events >"$STORY/history.ndjson"
	run import "$STORY/history.ndjson"
}
step '1. Real events'
say "A store of events is a file, or a database of PostgreSQL. Into this one goes $source_text."
make_store
say 'Importing it again changes nothing, since each event is known by its id:'
run import "$STORY/history.ndjson"

step '2. What is to be made of them'
say "A file of SQL makes a read model: tables that are kept up to date, event by event. A program, here one in Python, gets events"
say 'as lines of JSON and answers each. One file says which there are:'
grep -v '^#' $config | sed '1{/^$/d;}; s/^/  /; s/ *$//'
run run --check $config

step '3. One process does it, and is killed'
# On a quick machine the history may be done before the kill: once more then, from nothing.
for attempt in 1 2 3 4 5; do
	[ $attempt = 1 ] || make_store >/dev/null
	begin
	wait_for has_begun $second
	"$tide" why >"$STORY/why"
	finish KILL
	at=$(position $second) last=$(end)
	[ "$at" = "$last" ] || break
done
show "tide run $config &"
show 'tide why'
cat "$STORY/why"
show 'kill -9 %1'
say "It was reading the history, and had no time to say a word. 'tide why' asks the database what became of it:"
run why
set -- $(compare_with_log)
say "At $at of $last events '$second' was cut off. Its table has counted $1 of its events, and the log has $2 up to there:"
say 'a read model and its checkpoint commit together, or not at all.'
[ "$1" = "$2" ] || die 'they differ'

step '4. Started again, it goes on where it was'
begin
show "tide run $config &"
wait_for has_begun words
finish KILL
show 'kill -9 %1'
say 'This time the program had begun, and ended with the process that ran it. Once more:'
begin
show "tide run $config &"
wait_for is_caught_up
run why
set -- $(compare_with_log)
say "Now '$second' has counted $1, the whole log has $2: nothing lost, nothing twice."
[ "$1" = "$2" ] || die 'they differ'
set -- $(query "$STORY/words.db" 'SELECT count(*), coalesce(sum(times), 0) - count(*) FROM seen' | tr '|' ' ')
say "The program was sent each of its $1 events at least once; $2 came a second time, and it knew them by their ids."

step '5. What happens now is there at once'
live
wait_for is_live
table "$STORY/story.db" "$live_sql"

step '6. Read models are tables like any other'
table "$STORY/story.db" "$first_sql"
say ''
table "$STORY/story.db" "$second_sql"
say ''
table "$STORY/words.db" 'SELECT word, count FROM words WHERE length(word) > 3 ORDER BY count DESC, word LIMIT 5'
if [ $history = git ]; then
	ask "SELECT commits || char(9) || author FROM authors WHERE author <> 'You, just now'" | LC_ALL=C sort >"$STORY/ours"
	git shortlog -sn HEAD | sed 's/^ *//' | iconv -c -f utf-8 -t utf-8 | LC_ALL=C sort >"$STORY/theirs"
	cmp -s "$STORY/ours" "$STORY/theirs" || die 'the read model differs from git shortlog -sn'
	say '(git shortlog -sn counts the same commits.)'
fi
finish TERM

step '7. Proof'
say 'An audit counts what the log had for each of them, and what became of it:'
run audit --all
say 'A deep one makes the read model again from the log, elsewhere, and compares row by row. So it finds what a hand has changed:'
run audit $first --deep --file $story/$first.sql
show "sqlite3$(typed "$STORY/story.db" "$change_sql")"
ask "$change_sql"
if run audit $first --deep --file $story/$first.sql; then
	die 'the change was not found'
fi
say 'Made anew from the log, it is right again:'
run rebuild $first --config $config
run audit $first --deep --file $story/$first.sql
run audit $second --deep --file $story/$second.sql
run doctor

step 'What to try next'
cat <<TEXT
  export PATH='$build/src/cli':\$PATH TIDE_STORE='$TIDE_STORE' STORY='$STORY'
  tide run $config                           # until Ctrl-C; and in another terminal:
  tide append Order/name:1001 OrderPlaced '{"total": 100}'
  tide tail                                                   # events as they come
  tide read --limit 3                                         # or --type, --stream, --from, --json ...
  tide pause words; tide why words; tide resume words
  sqlite3 '$STORY/story.db'                          # the read models, and the events themselves
  tide --help
TEXT

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Break the engine on purpose, one way at a time, and see that the simulation notices each of them.
#
#	mutants.sh SOURCE_ROOT BUILD_ROOT LIBRARIES...
set -eu
source=$1 build=$2
shift 2
dir=$(mktemp -d "$build/mutants.XXXXXX")
trap 'rm -rf "$dir"' EXIT
missed=0

# mutant NAME FILE PERL_EXPRESSION: the expression must change the file, and the simulation must fail.
mutant()
{
	perl -0pe "$3" "$source/src/$2" > "$dir/mutant.c"
	if cmp -s "$source/src/$2" "$dir/mutant.c"; then
		echo "$1: the mutation does not apply to src/$2 any more"
		missed=$((missed + 1))
		return
	fi
	cc -std=gnu17 -D_GNU_SOURCE -O1 -I"$source/include" -I"$source/src" -I"$source/$(dirname "src/$2")" -w \
		-c "$dir/mutant.c" -o "$dir/mutant.o"
	# shellcheck disable=SC2086
	cc -o "$dir/mutant" "$build/tests/simulation/simulation.p/simulation.c.o" \
		"$build/tests/simulation/simulation.p/world.c.o" "$dir/mutant.o" "$build/libtidemark.a" $libraries
	if timeout 60 "$dir/mutant" 300 4000 > "$dir/out" 2>&1; then
		echo "$1: NOT NOTICED"
		missed=$((missed + 1))
	else
		echo "$1: noticed: $(grep -m 1 'BROKEN\|assert\|Assert' "$dir/out" || tail -n 1 "$dir/out")"
	fi
}

libraries="$* -lm -pthread"
mutant 'position moved before the event is settled' path/handler.c \
	's/(struct tide_error err;\n\ttide_status status = attempt_make)/progress_move(&runner->progress, events[count - 1]->position);\n\t$1/'
mutant 'wake-up reset after the look' path/runner.c \
	's/\tif \(wakeup_is_rung\(&subscription->wakeup\)\)\n\t\trunner_listen\(subscription\);\n//; s/\trunner_listen\(subscription\);\n\tfor/\tfor/; s/return runner->wait.at;/{ wakeup_reset(&subscription->wakeup); return runner->wait.at; }/'
mutant 'breaker that skips' path/handler.c \
	's/return handler_pause\(subscription\);/{ settle_next(subscription, SETTLED_DISCARDED); return STEP_ON; }/'
mutant 'run-again flag dropped' path/runner.c \
	's/\t\tfeed_rung\(&runner->feed\);\n//'
mutant 'transient failure settled as handled' path/failure.c \
	's/\tif \(!is_last\) \{\n/\tif (!is_last) {\n\t\tsettle_next(subscription, SETTLED_HANDLED);\n/'
mutant 'dead letter not written' path/failure.c \
	's/enum step step = failure_add\(subscription, event, fate->error.message, NULL, &id\);/enum step step = STEP_ON; id = 1;/'
mutant 'checkpoint ahead by one' path/save.c \
	's/\.progress = \{ progress->position,/.progress = { progress->position + 1,/'
mutant 'save that compares nothing' path/save.c \
	's/\.expected = &progress->stored,/.expected = NULL,/'
mutant 'a row that went back overwritten' path/save.c \
	's/save_begin_again\(subscription, row,\s+"the checkpoint went back, beginning again from it"\);\n\t+return TIDE_OK;/subscription->runner.progress.stored = *row;\n\t\treturn tide_fail(err, TIDE_BUSY, "again");/'
mutant 'savepoint not rolled back' path/attempt.c \
	's/: session_rollback_to\(subscription, &undo\)/: session_release_savepoint(subscription, &undo)/'
mutant 'a part answered for, all of it settled' path/handler.c \
	's/\tcount = delivery_taken\(&delivery, count\);\n//'
mutant 'lateness among several unseen' path/delivery.c \
	's/delivery->is_late \|= mono_since\(now, delivery->since\) >=\s+ns_of_seconds\(subscription->config.processing_timeout\);//'
mutant 'paused handler goes on' path/runner.c \
	's/return runner_rest\(subscription\);/return runner_drain(subscription, false);/'
mutant 'transaction left open over a wait' path/save.c \
	's/if \(!transaction_is_open\(&runner->transaction\) \|\| runner->save.is_unknown\)\n(\t+return STEP_WAIT;)/if (1)\n$1/'
[ "$missed" -eq 0 ]

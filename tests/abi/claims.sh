# SPDX-License-Identifier: Apache-2.0
# For shell tests: claim 'what holds' COMMAND... prints `ok what holds`, or `not ok what holds` and what the command said.
# The directory of the script is removed however it ends; with TEST_KEEP it stays when a claim failed. What it has begun and
# not waited for ends with it.
claims_failed=0
scratch=$(mktemp -d)
leave_nothing() {
	jobs -l >"$scratch/jobs"
	running=$(sed -n 's/^\[[0-9]*\] *[-+]* *\([0-9]*\) *Running.*/\1/p' "$scratch/jobs")
	[ -z "$running" ] || kill -KILL $running 2>/dev/null || :
	if [ $claims_failed -ne 0 ] && [ -n "${TEST_KEEP:-}" ]; then
		echo "kept: $scratch"
	else
		rm -rf "$scratch"
	fi
}
trap leave_nothing EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

claim() {
	claim_text=$1
	shift
	if "$@" >"$scratch/said" 2>&1; then
		echo "ok $claim_text"
	else
		echo "not ok $claim_text"
		sed 's/^/    /' "$scratch/said"
		claims_failed=1
	fi
}

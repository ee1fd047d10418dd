# SPDX-License-Identifier: Apache-2.0
# For shell tests: claim 'what holds' COMMAND... prints `ok what holds`, or `not ok what holds` and what the command said.
claims_failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of an append, once for all backends: is it a repetition, is the stream where the writer
 * thinks it is.
 *
 * Happy path: no id is known, the expectation is met, the events go in behind the current version.
 * Failure: ids that are stored elsewhere or in another order are duplicates; a stream that is
 * elsewhere is a conflict.
 */
#include <tidemark/backend.h>

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define COMMIT_EXPECTED_SIZE 32

/* The expectation by its name in messages. */
static const char *commit_expected_name(int64_t expected, char ret[COMMIT_EXPECTED_SIZE])
{
	if (expected == TIDE_ANY)
		return "any";
	if (expected == TIDE_STREAM_EXISTS)
		return "stream_exists";
	if (expected == TIDE_NO_STREAM)
		return "no_stream";
	snprintf(ret, COMMIT_EXPECTED_SIZE, "exact %" PRId64, expected);
	return ret;
}

static bool commit_is_expected(int64_t expected, tide_version current)
{
	if (expected == TIDE_ANY)
		return true;
	return expected == TIDE_STREAM_EXISTS ? current > 0 : current == expected;
}

/* Whether the first known event stands where an append with this expectation would have put it. */
static bool commit_follows(int64_t expected, tide_version version)
{
	return expected < 0 || version == expected + 1;
}

/* The first event that spoils a repetition, count when there is none. */
static size_t commit_find_offender(const struct tide_commit *commit,
				   const struct tide_known_event *known)
{
	size_t first_known = 0;
	while (!known[first_known].is_known)
		first_known++;
	bool is_whole = true;
	for (size_t i = 0; i < commit->count; i++) {
		bool is_in_place =
			known[i].is_same_stream && known[i].version - known[first_known].version ==
							   (int64_t)i - (int64_t)first_known;
		if (known[i].is_known && !is_in_place)
			return i;
		is_whole = is_whole && known[i].is_known;
	}

	return is_whole && commit_follows(commit->expected, known[0].version) ? commit->count
									      : first_known;
}

static tide_status commit_decide_known(const struct tide_commit *commit,
				       const struct tide_known_event *known,
				       struct tide_append_result *ret, struct tide_error *err)
{
	size_t offender = commit_find_offender(commit, known);
	if (offender < commit->count) {
		char id[TIDE_UUID_TEXT_SIZE];
		tide_uuid_format(&commit->events[offender].event_id, id);
		if (!known[offender].is_same_stream)
			return tide_fail(err, TIDE_DUPLICATE_EVENT,
					 "event_id '%s' is stored already, in another stream", id);
		return tide_fail(err, TIDE_DUPLICATE_EVENT,
				 "event_id '%s' is stored already, at version %" PRId32
				 " of this stream",
				 id, known[offender].version);
	}

	*ret = (struct tide_append_result){
		.version = known[commit->count - 1].version,
		.first_position = known[0].position,
		.last_position = known[commit->count - 1].position,
		.was_stored_before = true,
	};
	return TIDE_OK;
}

static tide_status commit_conflict(const struct tide_commit *commit, tide_version current,
				   const char *expected, struct tide_append_result *ret,
				   struct tide_error *err)
{
	char id[TIDE_UUID_TEXT_SIZE];
	*ret = (struct tide_append_result){ .version = current };
	return tide_fail(err, TIDE_CONFLICT, "'%s/%s' is at version %" PRId32 ", expected %s",
			 commit->stream.aggregate_type,
			 tide_uuid_format(&commit->stream.aggregate_id, id), current, expected);
}

static bool commit_has_known(const struct tide_commit *commit, const struct tide_known_event *known)
{
	for (size_t i = 0; known && i < commit->count; i++)
		if (known[i].is_known)
			return true;
	return false;
}

tide_status tide_commit_decide(const struct tide_commit *commit,
			       const struct tide_known_event *known, tide_version current,
			       struct tide_append_result *ret, struct tide_error *err)
{
	assert(commit->count > 0 && commit->expected >= TIDE_STREAM_EXISTS);
	char expected[COMMIT_EXPECTED_SIZE];
	if (commit_has_known(commit, known))
		return commit_decide_known(commit, known, ret, err);
	if (!commit_is_expected(commit->expected, current))
		return commit_conflict(commit, current,
				       commit_expected_name(commit->expected, expected), ret, err);

	tide_version first = commit->events[0].version;
	if (first > 0 && first - 1 != current) {
		snprintf(expected, sizeof expected, "exact %" PRId32, first - 1);
		return commit_conflict(commit, current, expected, ret, err);
	}

	if (commit->count > (size_t)(INT32_MAX - current)) {
		char id[TIDE_UUID_TEXT_SIZE];
		return tide_fail(err, TIDE_ARGUMENT,
				 "'%s/%s' at version %" PRId32 " cannot take %zu more events",
				 commit->stream.aggregate_type,
				 tide_uuid_format(&commit->stream.aggregate_id, id), current,
				 commit->count);
	}

	*ret = (struct tide_append_result){ .version = current + (tide_version)commit->count };
	return TIDE_OK;
}

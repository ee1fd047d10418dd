/* SPDX-License-Identifier: Apache-2.0 */
/* What a manager's user may ask and say about failures: callbacks, rules, totals. */
#include "supervise/group.h"

tide_status tide_manager_on_error(struct tide_manager *manager, enum tide_error_interest interest,
				  int which, tide_error_callback *callback, void *self,
				  int64_t *ret, struct tide_error *err)
{
	if (!manager || !callback || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL",
				 !manager    ? "manager"
				 : !callback ? "callback"
					     : "ret");

	int most = interest == TIDE_ERRORS_OF_CATEGORY ? TIDE_CATEGORY_UNKNOWN
						       : TIDE_SEVERITY_CRITICAL;
	if ((unsigned)interest > TIDE_ERRORS_OF_SEVERITY ||
	    (interest != TIDE_ERRORS_ALL && (which < 0 || which > most)))
		return tide_fail(err, TIDE_ARGUMENT, "interest %d of kind %d is none", which,
				 (int)interest);
	struct error_listener listener = {
		.interest = interest, .which = which, .callback = callback, .self = self
	};
	return errors_listen(&manager->engine.errors, &listener, ret, err);
}

bool tide_manager_off_error(struct tide_manager *manager, int64_t id)
{
	return manager && errors_unlisten(&manager->engine.errors, id);
}

tide_status tide_manager_classify(struct tide_manager *manager, const char *pattern,
				  tide_status status,
				  const struct tide_classification *classification,
				  struct tide_error *err)
{
	if (!manager || !classification)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL",
				 manager ? "classification" : "manager");

	if (pattern ? pattern[0] == '\0'
		    : (unsigned)status >= TIDE_STATUS_COUNT || status == TIDE_OK)
		return tide_fail(err, TIDE_ARGUMENT,
				 pattern ? "pattern is empty" : "status %d is no error",
				 (int)status);

	if ((unsigned)classification->category > TIDE_CATEGORY_UNKNOWN ||
	    (unsigned)classification->severity > TIDE_SEVERITY_CRITICAL)
		return tide_fail(err, TIDE_ARGUMENT,
				 "category %d, severity %d: one of them is none",
				 (int)classification->category, (int)classification->severity);
	return errors_add_rule(&manager->engine.errors, pattern, status, classification, err);
}

tide_status tide_manager_error_stats(struct tide_manager *manager, const char *name,
				     struct tide_error_stats *ret, struct tide_error *err)
{
	if (!manager || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", manager ? "ret" : "manager");
	const char *const names[] = { name, NULL };
	struct manager_set set;
	tide_status status = manager_pin(manager, name ? names : NULL, &set, err);
	if (status != TIDE_OK)
		return status;

	struct tide_error_stats sum = { 0 };
	for (size_t i = 0; i < set.count && status == TIDE_OK; i++) {
		struct tide_subscription *subscription = set.items[i];
		if (!subscription) {
			status = tide_fail(err, TIDE_NOT_FOUND, "no subscription '%s'", name);
			break;
		}
		struct tide_error_stats one = group_error_stats(subscription);
		error_stats_add(&sum, &one);
	}

	manager_unpin(manager, &set);
	if (status == TIDE_OK)
		*ret = sum;
	return status;
}

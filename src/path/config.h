/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_CONFIG_H
#define TIDE_PATH_CONFIG_H

#include <tidemark/backend.h>
#include <tidemark/subscription.h>

/** TIDE_ARGUMENT naming the first field, in the order of the table, that breaks its rule, and its
 * value. */
tide_status config_check(const struct tide_subscription_config *config, struct tide_error *err);

/** Behind which one begins that has settled nothing; `end` is the feed's now, and of no account but
 * for TIDE_START_END. */
tide_position config_start(const struct tide_subscription_config *config, tide_position end);

/** The filter in effect, with everything it names in `*ret_block` (tide_free).
 * TIDE_OUT_OF_MEMORY. */
tide_status config_copy_filter(const struct tide_subscriber *subscriber,
			       const struct tide_subscription_config *config, void **ret_block,
			       struct tide_filter *ret, struct tide_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A cause in words: the places of its sentence filled with its evidence. */
#include "policy/why.h"

#include <stdio.h>
#include <string.h>

#include "core/text.h"

static const struct {
	const char *sentence, *advice;
} sentences[TIDE_CAUSE_COUNT] = {
#define SENTENCE(cause, sentence, advice) [TIDE_CAUSE_##cause] = { sentence, advice },
#include "policy/sentences.def"
#undef SENTENCE
};

/** A text that is being written; what does not fit is cut. */
struct sentence {
	char *text;
	size_t size, capacity;
};

static void sentence_add(struct sentence *sentence, const char *text, size_t size)
{
	size_t room = sentence->capacity - 1 - sentence->size;
	size_t taken = size <= room ? size : utf8_cut(text, size, room);
	memcpy(sentence->text + sentence->size, text, taken);
	sentence->size += taken;
	sentence->text[sentence->size] = '\0';
}

/* What a place stands for; NULL: it is not known. */
static const char *sentence_fact(const struct tide_why *why, const char *key, size_t size,
				 char ret[TIDE_TIME_TEXT_SIZE])
{
	char name[sizeof why->evidence->key];
	snprintf(name, sizeof name, "%.*s", (int)size, key);
	if (strcmp(name, "name") == 0)
		return why->name;
	if (strcmp(name, "since") == 0)
		return why->has_since ? tide_time_format(why->since, ret) : NULL;
	const struct tide_evidence *evidence = tide_why_evidence(why, name);
	return evidence ? evidence->text : NULL;
}

/* Up to `end`; false: a fact in it is not known, which is said. */
static bool sentence_fill(struct sentence *sentence, const struct tide_why *why, const char *from,
			  const char *end)
{
	char buffer[TIDE_TIME_TEXT_SIZE];
	bool is_known = true;

	while (from < end) {
		if (*from != '{') {
			size_t plain = strcspn(from, "{");
			plain = plain < (size_t)(end - from) ? plain : (size_t)(end - from);
			sentence_add(sentence, from, plain);
			from += plain;
			continue;
		}
		size_t size = strcspn(++from, "}");
		const char *fact = sentence_fact(why, from, size, buffer);
		sentence_add(sentence, fact ? fact : "(unknown)", fact ? strlen(fact) : 9);
		is_known = is_known && fact;
		from += size + 1;
	}
	return is_known;
}

/* A part in brackets, or what stands behind ~ in it when a fact is not known. */
static void sentence_choose(struct sentence *sentence, const struct tide_why *why, const char *from,
			    const char *end)
{
	const char *other = memchr(from, '~', (size_t)(end - from));
	size_t before = sentence->size;
	if (sentence_fill(sentence, why, from, other ? other : end))
		return;

	sentence->size = before;
	sentence->text[before] = '\0';
	if (other)
		(void)sentence_fill(sentence, why, other + 1, end);
}

static void sentence_say(const struct tide_why *why, const char *text, char *ret, size_t capacity)
{
	struct sentence sentence = { .text = ret, .capacity = capacity };
	*ret = '\0';
	while (*text) {
		size_t plain = strcspn(text, "[");
		(void)sentence_fill(&sentence, why, text, text + plain);
		text += plain;
		if (!*text)
			return;

		const char *from = text + 1, *end = from + strcspn(from, "]");
		sentence_choose(&sentence, why, from, end);
		text = end + 1;
	}
}

void why_say(struct tide_why *why)
{
	sentence_say(why, sentences[why->cause].sentence, why->reason, sizeof why->reason);
	sentence_say(why, sentences[why->cause].advice, why->advice, sizeof why->advice);
}

const char *why_sentence(enum tide_cause cause)
{
	return sentences[cause].sentence;
}

const char *why_advice(enum tide_cause cause)
{
	return sentences[cause].advice;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <tidemark/time.h>

#include <string.h>

#include "core/text.h"

#define TIME_DAY_US INT64_C(86400000000)
/* 1970-01-01 counted from 0000-03-01, as a year here begins in March */
#define TIME_EPOCH_DAY 719468

/* Days since 1970-01-01. With the year beginning in March the leap day is its last, and month
 * lengths follow a line. */
static int32_t time_days(int year, int month, int day)
{
	int y = year - (month <= 2);
	int m = month + (month <= 2 ? 9 : -3);
	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - TIME_EPOCH_DAY;
}

struct time_date {
	unsigned year, month, day;
};

static struct time_date time_date(int32_t days)
{
	unsigned n = (unsigned)(days + TIME_EPOCH_DAY);
	unsigned era = n / 146097, in_era = n % 146097;
	unsigned year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	unsigned in_year = in_era - (365 * year + year / 4 - year / 100);
	unsigned m = (5 * in_year + 2) / 153;
	return (struct time_date){
		.year = era * 400 + year + (m >= 10),
		.month = m < 10 ? m + 3 : m - 9,
		.day = in_year - (153 * m + 2) / 5 + 1,
	};
}

static int time_days_in_month(int year, int month)
{
	static const uint8_t days[] = { 0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return days[month] + (month == 2 && is_leap);
}

/* Two digits, or a number too great for any field. */
static int time_two(const char *text)
{
	unsigned high = (unsigned char)text[0] - (unsigned)'0',
		 low = (unsigned char)text[1] - (unsigned)'0';
	return high > 9 || low > 9 ? 1000 : (int)(high * 10 + low);
}

static bool time_read_date(const char *text, int32_t *ret)
{
	int century = time_two(text), in_century = time_two(text + 2), month = time_two(text + 5),
	    day = time_two(text + 8);
	int year = century * 100 + in_century;
	if (text[4] != '-' || text[7] != '-' || century > 99 || in_century > 99 || year < 1 ||
	    month < 1 || month > 12)
		return false;
	if (day < 1 || (day > 28 && day > time_days_in_month(year, month)))
		return false;
	*ret = time_days(year, month, day);
	return true;
}

static bool time_read_clock(const char *text, int32_t *ret)
{
	int hour = time_two(text), minute = time_two(text + 3), second = time_two(text + 6);
	if (text[2] != ':' || text[5] != ':' || hour > 23 || minute > 59 || second > 59)
		return false;
	*ret = hour * 3600 + minute * 60 + second;
	return true;
}

/* A point and 1 to 9 digits, of which 6 count; how many bytes they are, 0 when there is no
 * fraction, -1 when it is wrong. */
static int time_read_fraction(const char *text, size_t size, int32_t *ret)
{
	*ret = 0;
	if (size == 0 || text[0] != '.')
		return 0;

	size_t digits = 0;
	int32_t value = 0;
	for (; digits + 1 < size && text[digits + 1] >= '0' && text[digits + 1] <= '9'; digits++)
		if (digits < 6)
			value = value * 10 + (text[digits + 1] - '0');
	if (digits < 1 || digits > 9)
		return -1;

	for (size_t i = digits; i < 6; i++)
		value *= 10;
	*ret = value;
	return (int)digits + 1;
}

/* What is east of UTC is ahead of it, in seconds. */
static bool time_read_zone(const char *text, size_t size, int32_t *ret)
{
	*ret = 0;
	if (size == 0 || (size == 1 && (text[0] == 'Z' || text[0] == 'z')))
		return true;
	if (size != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':')
		return false;
	int hours = time_two(text + 1), minutes = time_two(text + 4);
	if (hours > 23 || minutes > 59)
		return false;
	*ret = (hours * 3600 + minutes * 60) * (text[0] == '-' ? -1 : 1);
	return true;
}

bool time_read(const char *text, size_t size, struct tide_time *ret)
{
	int32_t days, seconds, us, zone;
	if (size < 19 || (text[10] != 'T' && text[10] != ' ' && text[10] != 't'))
		return false;
	if (!time_read_date(text, &days) || !time_read_clock(text + 11, &seconds))
		return false;

	int fraction = time_read_fraction(text + 19, size - 19, &us);
	if (fraction < 0 ||
	    !time_read_zone(text + 19 + fraction, size - 19 - (size_t)fraction, &zone))
		return false;
	int64_t unix_us = days * TIME_DAY_US + (int64_t)(seconds - zone) * 1000000 + us;
	if (unix_us < TIDE_TIME_MIN_US || unix_us > TIDE_TIME_MAX_US)
		return false;

	ret->unix_us = unix_us;
	return true;
}

bool time_reader_next(struct time_reader *reader, const char *text, size_t size,
		      struct tide_time *ret)
{
	/* Only the form Tidemark writes is worth remembering. */
	bool is_own = size == TIDE_TIME_TEXT_SIZE - 1 && text[16] == ':' && text[19] == '.' &&
		      memcmp(text + 26, "+00:00", 6) == 0;
	if (!is_own || memcmp(text, reader->minute, sizeof reader->minute) != 0) {
		if (!time_read(text, size, ret))
			return false;
		if (is_own) {
			memcpy(reader->minute, text, sizeof reader->minute);
			reader->unix_us =
				ret->unix_us - (ret->unix_us % 60000000 + 60000000) % 60000000;
		}
		return true;
	}

	int second = time_two(text + 17), high = time_two(text + 20), middle = time_two(text + 22),
	    low = time_two(text + 24);
	if (second > 59 || (high | middle | low) > 127)
		return false;

	ret->unix_us = reader->unix_us + second * 1000000 + high * 10000 + middle * 100 + low;
	return true;
}

tide_status tide_time_parse(const char *text, struct tide_time *ret, struct tide_error *err)
{
	if (!text || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", text ? "ret" : "time text");
	if (!time_read(text, strlen(text), ret))
		return tide_fail(err, TIDE_ARGUMENT,
				 "'%.64s' is no RFC 3339 instant in the years 0001 to 9999", text);
	return TIDE_OK;
}

static void time_put_two(char *ret, unsigned value)
{
	ret[0] = (char)('0' + value / 10);
	ret[1] = (char)('0' + value % 10);
}

char *tide_time_format(struct tide_time time, char ret[TIDE_TIME_TEXT_SIZE])
{
	int64_t us = time.unix_us < TIDE_TIME_MIN_US ? TIDE_TIME_MIN_US : time.unix_us;
	us = us > TIDE_TIME_MAX_US ? TIDE_TIME_MAX_US : us;
	uint64_t from_start = (uint64_t)(us - TIDE_TIME_MIN_US);
	uint32_t days = (uint32_t)(from_start / (uint64_t)TIME_DAY_US);
	uint64_t in_day = from_start % (uint64_t)TIME_DAY_US;
	uint32_t seconds = (uint32_t)(in_day / 1000000), fraction = (uint32_t)(in_day % 1000000);
	struct time_date date =
		time_date((int32_t)days + (int32_t)(TIDE_TIME_MIN_US / TIME_DAY_US));

	memcpy(ret, "0000-00-00T00:00:00.000000+00:00", TIDE_TIME_TEXT_SIZE);
	time_put_two(ret, date.year / 100);
	time_put_two(ret + 2, date.year % 100);
	time_put_two(ret + 5, date.month);
	time_put_two(ret + 8, date.day);
	time_put_two(ret + 11, seconds / 3600);
	time_put_two(ret + 14, seconds / 60 % 60);
	time_put_two(ret + 17, seconds % 60);
	time_put_two(ret + 20, fraction / 10000);
	time_put_two(ret + 22, fraction / 100 % 100);
	time_put_two(ret + 24, fraction % 100);
	return ret;
}

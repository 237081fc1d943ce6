/* SPDX-License-Identifier: MIT */
#include "http/http_date.h"

#include <string.h>

static const int64_t LAST_SECOND = INT64_C(253402300799); /* the end of year 9999: four digits */

void
cv_http_date_init(cv_http_date_t *date)
{
    date->second = -1;
    memset(date->text, 0, sizeof(date->text));
}

static void
put_two(char *at, unsigned value)
{
    at[0] = (char)('0' + value / 10);
    at[1] = (char)('0' + value % 10);
}

/* The proleptic Gregorian date of a day since 1970-01-01, with years that begin in March, so that
 * the leap day is the last one. */
static void
put_date(char *text, int64_t days)
{
    static const char WEEKDAYS[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */
    static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    unsigned shifted = (unsigned)days + 719468; /* since 0000-03-01 */
    unsigned era = shifted / 146097, of_era = shifted % 146097;
    unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned from_march = (5 * of_year + 2) / 153;
    unsigned day = of_year - (153 * from_march + 2) / 5 + 1;
    unsigned month = from_march < 10 ? from_march + 2 : from_march - 10;
    unsigned year = era * 400 + year_of_era + (month < 2);
    memcpy(text, WEEKDAYS + days % 7 * 3, 3);
    memcpy(text + 8, MONTHS + month * 3, 3);
    put_two(text + 5, day);
    put_two(text + 12, year / 100);
    put_two(text + 14, year % 100);
}

const char *
cv_http_date_text(cv_http_date_t *date, int64_t second)
{
    if (second < 0) {
        second = 0; /* a clock that was never set */
    } else if (second > LAST_SECOND) {
        second = LAST_SECOND;
    }
    if (second == date->second) {
        return date->text;
    }
    unsigned of_day = (unsigned)(second % 86400);
    memcpy(date->text, "ddd, dd mmm yyyy hh:mm:ss GMT", sizeof(date->text));
    put_date(date->text, second / 86400);
    put_two(date->text + 17, of_day / 3600);
    put_two(date->text + 20, of_day / 60 % 60);
    put_two(date->text + 23, of_day % 60);
    date->second = second;
    return date->text;
}

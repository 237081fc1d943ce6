/* SPDX-License-Identifier: MIT */
#include "observe/access_time.h"

#include <stdlib.h>
#include <string.h>

static char *
put_number(char *at, int value, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + digits;
}

static char *
put_date(char *at, const struct tm *tm)
{
    at = put_number(at, tm->tm_year + 1900, 4);
    *at++ = '-';
    at = put_number(at, tm->tm_mon + 1, 2);
    *at++ = '-';
    return put_number(at, tm->tm_mday, 2);
}

static char *
put_clock(char *at, const struct tm *tm)
{
    at = put_number(at, tm->tm_hour, 2);
    *at++ = ':';
    at = put_number(at, tm->tm_min, 2);
    *at++ = ':';
    return put_number(at, tm->tm_sec, 2);
}

/* "+0100", or "+01:00" with a separator. */
static void
put_zone(char *at, long offset, const char *separator)
{
    int minutes = (int)(labs(offset) / 60);
    *at++ = offset < 0 ? '-' : '+';
    at = put_number(at, minutes / 60, 2);
    if (*separator != '\0') {
        *at++ = *separator;
    }
    put_number(at, minutes % 60, 2);
}

/* The names are these in every locale. */
static char *
put_month(char *at, int month)
{
    memcpy(at, &"JanFebMarAprMayJunJulAugSepOctNovDec"[month * 3], 3);
    return at + 3;
}

static void
set_local(cv_access_time_t *time, const struct tm *tm)
{
    char *at = put_number(time->local, tm->tm_mday, 2);
    *at++ = '/';
    at = put_month(at, tm->tm_mon);
    *at++ = '/';
    at = put_number(at, tm->tm_year + 1900, 4);
    *at++ = ':';
    at = put_clock(at, tm);
    *at++ = ' ';
    put_zone(at, tm->tm_gmtoff, "");
    at = put_date(time->iso, tm);
    *at++ = 'T';
    put_zone(put_clock(at, tm), tm->tm_gmtoff, ":");
}

void
cv_access_time_set(cv_access_time_t *time, const struct timespec *now)
{
    if (time->second == (int64_t)now->tv_sec) {
        return;
    }
    struct tm tm = {.tm_mday = 1, .tm_year = 70};
    time->second = now->tv_sec;
    (void)gmtime_r(&now->tv_sec, &tm);
    char *at = put_date(time->utc, &tm);
    *at++ = 'T';
    put_clock(at, &tm);
    (void)localtime_r(&now->tv_sec, &tm);
    set_local(time, &tm);
}

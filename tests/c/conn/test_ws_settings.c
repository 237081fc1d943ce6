/* SPDX-License-Identifier: MIT
 *
 * What holds for WebSockets where nobody says otherwise, and under which names what ends them is counted.
 */
#include <string.h>

#include "conn/conn_fixture.h"
#include "cv_test.h"

TEST(websocket_is_off_until_somebody_asks)
{
    fixture_t *f = fixture_new();
    CHECK(!f->env.ws.enabled);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(limits_are_uvicorns)
{
    cv_ws_settings_t settings;
    memset(&settings, 0xFF, sizeof(settings));
    cv_ws_settings_init(&settings);
    CHECK(!settings.enabled);
    CHECK_EQ(settings.max_size, 16777216);
    CHECK_EQ(settings.max_queue, 32);
    CHECK_EQ(settings.ping_interval, 20000);
    CHECK_EQ(settings.ping_timeout, 20000);
    CHECK(settings.deflate.enabled);
}

TEST(what_uvicorn_does_not_have)
{
    cv_ws_settings_t settings;
    cv_ws_settings_init(&settings);
    CHECK_EQ(settings.limit, UINT32_MAX);
    CHECK_EQ(settings.send_high, 65536);
    CHECK_EQ(settings.idle_timeout, 0);
    CHECK_EQ(settings.close_timeout, 10000);
    CHECK(!settings.deflate.context);
    CHECK_EQ(settings.deflate.window, 12);
    CHECK_EQ(settings.deflate.level, 3);
    CHECK_EQ(settings.deflate.threshold, 128);
}

TEST(each_limit_has_a_name_of_its_own)
{
    for (int one = 0; one < CV_LIMITS; one++) {
        CHECK(cv_limit_name(one) != NULL);
        for (int other = 0; other < one; other++) {
            CHECK(strcmp(cv_limit_name(one), cv_limit_name(other)) != 0);
        }
    }
    CHECK(strcmp(cv_limit_name(CV_LIMIT_WS_MESSAGE), "ws_max_size") == 0);
}

int
main(void)
{
    RUN(websocket_is_off_until_somebody_asks);
    RUN(limits_are_uvicorns);
    RUN(what_uvicorn_does_not_have);
    RUN(each_limit_has_a_name_of_its_own);
    return cv_test_end();
}

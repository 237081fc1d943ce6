/* SPDX-License-Identifier: MIT
 *
 * A peer whose connection became a WebSocket: what the layer above is told and sends, and what its client hears.
 */
#ifndef CUVEE_TESTS_FUZZ_CONN_SOCKET_H
#define CUVEE_TESTS_FUZZ_CONN_SOCKET_H

#include "conn_peer.h"

/* The callbacks, but for what the script does in them. */
void socket_on_handshake(peer_t *peer);
void socket_on_message(peer_t *peer, const cv_ws_event_t *message);
void socket_on_untaken(peer_t *peer, size_t len);
void socket_on_end(peer_t *peer);

/* What has to hold for a connection between two events. */
void socket_check(const cv_conn_t *conn, const peer_t *peer);

/* What stands behind the accepted handshake is frames: the messages that were sent, in order, and control frames;
 * nothing follows a close frame, and in front of it all of them are there. */
void socket_check_heard(peer_t *peer, const char *data, size_t len);

/* The layer above. Nothing happens where it may not be called. */
void socket_accept(peer_t *peer, bool has_field);
void socket_send(world_t *world, peer_t *peer, size_t len, bool owned, bool repeated);
void socket_close(peer_t *peer, unsigned code);
void socket_consume(peer_t *peer, unsigned count);
void socket_settle(peer_t *peer);

/* Takes all messages and closes. */
void socket_finish(peer_t *peer);

/* The client's frame: its first byte, and its payload. */
void socket_say(peer_t *peer, unsigned first, const char *data, size_t len);

#endif

/* SPDX-License-Identifier: MIT
 *
 * Every string that is a key, a value or an attribute name, interned once per module.
 *
 * Thread:  the GIL is held.
 */
#ifndef CUVEE_PY_NAMES_H
#define CUVEE_PY_NAMES_H

/* X(member, text) */
#define CV_NAMES(X)                                                    \
    X(type, "type")                                                    \
    X(asgi, "asgi")                                                    \
    X(version, "version")                                              \
    X(spec_version, "spec_version")                                    \
    X(spec_2_3, "2.3")                                                 \
    X(http_version, "http_version")                                    \
    X(http_1_0, "1.0")                                                 \
    X(http_1_1, "1.1")                                                 \
    X(server, "server")                                                \
    X(client, "client")                                                \
    X(scheme, "scheme")                                                \
    X(http, "http")                                                    \
    X(root_path, "root_path")                                          \
    X(headers, "headers")                                              \
    X(state, "state")                                                  \
    X(method, "method")                                                \
    X(path, "path")                                                    \
    X(raw_path, "raw_path")                                            \
    X(query_string, "query_string")                                    \
    X(status, "status")                                                \
    X(body, "body")                                                    \
    X(more_body, "more_body")                                          \
    X(extensions, "extensions")                                        \
    X(trailers, "trailers")                                            \
    X(more_trailers, "more_trailers")                                  \
    X(links, "links")                                                  \
    X(file, "file")                                                    \
    X(offset, "offset")                                                \
    X(count, "count")                                                  \
    X(http_request, "http.request")                                    \
    X(http_disconnect, "http.disconnect")                              \
    X(http_response_start, "http.response.start")                      \
    X(http_response_body, "http.response.body")                        \
    X(http_response_early_hint, "http.response.early_hint")            \
    X(http_response_trailers, "http.response.trailers")                \
    X(http_response_pathsend, "http.response.pathsend")                \
    X(http_response_zerocopysend, "http.response.zerocopysend")        \
    X(spec_2_4, "2.4")                                                 \
    X(ws, "ws")                                                        \
    X(wss, "wss")                                                      \
    X(websocket, "websocket")                                          \
    X(subprotocol, "subprotocol")                                      \
    X(subprotocols, "subprotocols")                                    \
    X(text, "text")                                                    \
    X(bytes, "bytes")                                                  \
    X(code, "code")                                                    \
    X(reason, "reason")                                                \
    X(websocket_connect, "websocket.connect")                          \
    X(websocket_receive, "websocket.receive")                          \
    X(websocket_disconnect, "websocket.disconnect")                    \
    X(websocket_accept, "websocket.accept")                            \
    X(websocket_send, "websocket.send")                                \
    X(websocket_close, "websocket.close")                              \
    X(websocket_http_response, "websocket.http.response")              \
    X(websocket_http_response_start, "websocket.http.response.start")  \
    X(websocket_http_response_body, "websocket.http.response.body")    \
    X(future_blocking, "_asyncio_future_blocking")                     \
    X(create_future, "create_future")                                  \
    X(create_task, "create_task")                                      \
    X(get_task_factory, "get_task_factory")                            \
    X(add_done_callback, "add_done_callback")                          \
    X(done, "done")                                                    \
    X(result, "result")                                                \
    X(set_result, "set_result")                                        \
    X(cancel, "cancel")                                                \
    X(msg, "msg")                                                      \
    X(client_disconnected, "client disconnected")                      \
    X(cuvee_disconnect, "cuvee.disconnect")                            \
    X(context, "context")                                              \
    X(loop, "loop")                                                    \
    X(eager_start, "eager_start")                                      \
    X(call_soon, "call_soon")                                          \
    X(call_later, "call_later")                                        \
    X(add_reader, "add_reader")                                        \
    X(remove_reader, "remove_reader")                                  \
    X(get, "GET")                                                      \
    X(head, "HEAD")                                                    \
    X(post, "POST")                                                    \
    X(put, "PUT")                                                      \
    X(delete_, "DELETE")                                               \
    X(options, "OPTIONS")                                              \
    X(patch, "PATCH")                                                  \
    X(empty, "")

#endif

// SPDX-License-Identifier: MIT
// Sends messages to an echo with any client that has the interface of browsers, and compares what comes back.

function bytesOf(size) {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at++) bytes[at] = (at * 7 + (at >> 8)) & 0xff;
  return bytes;
}

function textOf(size) {
  return "0123456789é".repeat(Math.floor(size / 12)) + "x".repeat(size % 12);
}

function same(one, other) {
  if (typeof one === "string") return one === other;
  const got = new Uint8Array(other);
  return got.length === one.length && one.every((byte, at) => byte === got[at]);
}

// Returns how many messages came back, and the code with which the connection was closed.
async function check(open, sizes) {
  const socket = open();
  socket.binaryType = "arraybuffer";
  const ended = new Promise((resolve) => (socket.onclose = resolve));
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error("no connection"));
  });
  let count = 0;
  for (const size of sizes) {
    for (const message of [bytesOf(size), textOf(size)]) {
      const answer = Promise.race([
        new Promise((resolve) => (socket.onmessage = resolve)),
        ended.then((event) => Promise.reject(new Error(`closed with ${event.code}`))),
      ]);
      socket.send(message);
      if (!same(message, (await answer).data)) throw new Error(`another message of ${size} came`);
      count++;
    }
  }
  socket.close(4000, "done");
  return [count, (await ended).code];
}

// SPDX-License-Identifier: MIT
// node node_client.js FOLDER WHICH URL DEFLATE SIZES: the `ws` package of a folder, or Node's own client.

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const [folder, which, url, deflate, sizes] = process.argv.slice(2);
vm.runInThisContext(fs.readFileSync(path.join(__dirname, "echo_client.js"), "utf8"));

function open() {
  if (which === "own") return new WebSocket(url);
  const Client = require(path.join(folder, "node_modules", "ws"));
  return new Client(url, { perMessageDeflate: deflate === "true", maxPayload: 0 });
}

check(open, JSON.parse(sizes)).then(
  (result) => console.log(JSON.stringify(result)),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);

// QSTASH_DEV=true: the client and the receiver take the running server for their
// own without a token, an address or a key being configured.
import assert from "node:assert/strict";
import test from "node:test";
import { baseUrl, receiver } from "./support.mjs";

process.env.QSTASH_DEV = "true";
process.env.QSTASH_DEV_PORT = new URL(baseUrl).port;
const { Client, Receiver } = await import("@upstash/qstash");

test("the client finds the server and its receiver verifies", async (t) => {
  const lines = [];
  t.mock.method(console, "log", (line) => lines.push(String(line)));
  const sink = await receiver(t);

  const { messageId } = await new Client().publishJSON({ url: `${sink.url}/dev?a=1`, body: { hello: "world" } });

  const [arrival] = await sink.arrived();
  assert.equal(arrival.headers["upstash-message-id"], messageId);
  assert.deepEqual(JSON.parse(arrival.body), { hello: "world" });
  assert.ok(
    await new Receiver().verify({
      signature: arrival.headers["upstash-signature"],
      body: arrival.body.toString(),
      url: `${sink.url}/dev?a=1`,
      upstashRegion: arrival.headers["upstash-region"],
    }),
  );
  // Anything else would mean that the client went looking for a binary to run.
  assert.equal(lines.filter((line) => line.includes("Server already running at " + baseUrl)).length, 1);
});

test("a message to the built-in receiver is answered", async () => {
  const response = await fetch(`${baseUrl}/dev/catch/from/node`, { method: "PUT", body: "x" });
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { status: "ok" });
});

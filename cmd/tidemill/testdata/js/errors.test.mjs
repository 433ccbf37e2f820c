// What is refused, and with which status (QSTASH.md §1.3). Each case would reach
// the sink if it were accepted; the last test of the file says that none did.
import assert from "node:assert/strict";
import test from "node:test";
import { baseUrl, client, receiver, refused, users } from "./support.mjs";

const qstash = client(users.publish);

test("bad input is refused and nothing is delivered", async (t) => {
  const sink = await receiver(t);
  const url = sink.url;
  const cases = [
    ["a scheme that is not http", 400, /scheme/, { url: "ftp://example.com" }],
    ["a delay that is none", 400, /delay/i, { url, delay: "banana" }],
    ["a retry delay that does not parse", 400, /retry-delay/i, { url, retryDelay: "pow(" }],
    ["a method that is none", 400, /method/i, { url, method: "BREW" }],
    ["a deduplication id with a colon", 400, /DeduplicationId cannot contain ':'/, { url, deduplicationId: "a:b" }],
    ["more retries than allowed", 412, /quota maxRetries exceeded/, { url, retries: 101 }],
    ["a body of 1 MiB and one byte", 413, /./, { url, body: Buffer.alloc((1 << 20) + 1, 1) }],
    ["a batch whose elements all fail", 400, /delay/i, null],
    ["a callback that is no URL", 400, /Upstash-Callback/, { url, callback: "nowhere" }],
    ["a rate of none", 400, /Upstash-Flow-Control-Value.*rate/, { url, flowControl: { key: "k", rate: "0" } }],
  ];
  for (const [name, status, text, message] of cases) {
    await t.test(`${name}: ${status}`, async () => {
      const answer = message ? qstash.publish(message) : qstash.batch([{ url, delay: "banana" }, { url, delay: "apple" }]);
      await refused(answer, status, text);
    });
  }
  const { messageId } = await qstash.publish({ url, body: "the only one" });
  await sink.arrived();
  assert.deepEqual(sink.arrivals.map((a) => a.headers["upstash-message-id"]), [messageId]);
});

test("a wrong token is refused everywhere", async () => {
  const stranger = client({ token: "eyJVc2VySUQiOiJ4In0=" });
  const text = /unable to authenticate: invalid token/;
  await refused(stranger.publish({ url: "https://example.com", body: "x" }), 401, text);
  await refused(stranger.publish({ url: "https://example.com", body: Buffer.alloc(64 << 10) }), 401, text);
  await refused(stranger.messages.get("msg_x"), 401, text);
  await refused(stranger.dlq.listMessages(), 401, text);
});

test("what does not exist is 404", async () => {
  await refused(qstash.messages.get("msg_1111111111111111111111"), 404);
  await refused(qstash.messages.cancel("msg_1111111111111111111111"), 404);
  await refused(qstash.dlq.delete("1700000000000-1"), 404);
});

test("the token may stand in the query, for senders that have no other way", async (t) => {
  const sink = await receiver(t);
  const response = await fetch(`${baseUrl}/v2/publish/${sink.url}/hook?a=1&qstash_token=${encodeURIComponent(users.publish.token)}&b=2`, {
    method: "POST",
    body: "x",
  });
  assert.equal(response.status, 200);
  const [arrival] = await sink.arrived();
  assert.equal(arrival.path, "/hook?a=1&b=2");
});

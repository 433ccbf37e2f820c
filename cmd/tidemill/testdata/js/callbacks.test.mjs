// Callbacks (QSTASH.md §7): when they come, what they say, and that they are signed.
import assert from "node:assert/strict";
import test from "node:test";
import { Receiver } from "@upstash/qstash";
import { api, client, receiver, refused, until, users } from "./support.mjs";

const user = users.publish;
const qstash = client(user);
const verifier = new Receiver({ currentSigningKey: user.currentSigningKey, nextSigningKey: user.nextSigningKey, devMode: false });

// told returns the callbacks that arrived, verified and decoded.
async function told(sink, path, n) {
  const arrivals = await sink.arrived(n, (a) => a.path === path);
  return Promise.all(
    arrivals.map(async (a) => {
      const body = a.body.toString();
      assert.ok(await verifier.verify({ signature: a.headers["upstash-signature"], body, url: sink.url + path }));
      assert.equal(a.headers["content-type"], "application/json");
      return { headers: a.headers, method: a.method, ...JSON.parse(body) };
    }),
  );
}
const text = (base64) => Buffer.from(base64, "base64").toString();

test("a callback reports a delivery", async (t) => {
  const sink = await receiver(t, (a) => (a.path === "/work?x=1" ? { status: 201, headers: { "X-Answer": "yes", "Content-Type": "text/plain" }, body: "done" } : undefined));
  const { messageId } = await qstash.publishJSON({
    url: `${sink.url}/work?x=1`,
    body: { job: 7 },
    method: "PUT",
    headers: { "X-Own": "y", "Upstash-Callback-Forward-X-Trace": "abc", "Upstash-Callback-Method": "PATCH" },
    callback: `${sink.url}/done`,
    failureCallback: `${sink.url}/failed`,
  });
  const [c] = await told(sink, "/done", 1);
  assert.equal(c.method, "PUT"); // of the message: the payload's
  const [arrival] = await sink.arrived(1, (a) => a.path === "/done");
  assert.equal(arrival.method, "PATCH");
  assert.equal(c.headers["x-trace"], "abc");
  assert.equal(c.headers["x-own"], undefined);
  assert.notEqual(c.headers["upstash-message-id"], messageId);
  assert.equal(c.status, 201);
  assert.deepEqual(c.header["X-Answer"], ["yes"]);
  assert.equal(text(c.body), "done");
  assert.equal(c.retried ?? 0, 0);
  assert.equal(c.maxRetries, 3);
  assert.equal(c.sourceMessageId, messageId);
  assert.equal(c.messageId, messageId);
  assert.equal(c.url, `${sink.url}/work?x=1`);
  assert.deepEqual(c.sourceHeader, { "Content-Type": ["application/json"], "X-Own": ["y"] });
  assert.deepEqual(JSON.parse(text(c.sourceBody)), { job: 7 });
  assert.equal(typeof c.createdAt, "number");
  assert.equal(typeof c.notBefore, "number");
  assert.equal(c.callerIP, "127.0.0.1");
  assert.equal(c.dlqId, undefined);
  assert.equal(sink.arrivals.filter((a) => a.path === "/failed").length, 0);
});

test("every attempt is reported, and the end once", async (t) => {
  const sink = await receiver(t, (a) => (a.path === "/work" ? { status: 503, body: Buffer.from([0xff, 0]) } : undefined));
  const { messageId } = await qstash.publish({
    url: `${sink.url}/work`,
    body: "x",
    retries: 2,
    retryDelay: "50",
    callback: `${sink.url}/each`,
    failureCallback: `${sink.url}/failed`,
  });
  const each = await told(sink, "/each", 3);
  assert.deepEqual(each.map((c) => [c.status, c.retried ?? 0, c.maxRetries, c.sourceMessageId]).sort(), [0, 1, 2].map((n) => [503, n, 2, messageId]));
  assert.equal(each[0].body, "/wA=");
  const [failed] = await told(sink, "/failed", 1);
  assert.deepEqual([failed.status, failed.retried, failed.maxRetries, failed.sourceMessageId], [503, 2, 2, messageId]);
  assert.match(failed.dlqId, /^\d+-\d+$/);
  const item = await api(user, "GET", `/v2/dlq/${failed.dlqId}`);
  assert.equal(item.json.messageId, messageId);
  assert.equal(item.json.callback, `${sink.url}/each`);
  assert.equal(item.json.failureCallback, `${sink.url}/failed`);
  await qstash.dlq.delete(failed.dlqId);
});

test("a queue waits for the callbacks of a message", async (t) => {
  let failures = 1;
  const sink = await receiver(t, (a) => (a.path === "/done/1" && failures-- > 0 ? { status: 500 } : undefined));
  const queue = qstash.queue({ queueName: "js-callbacks" });
  t.after(() => queue.delete());
  for (const n of [1, 2]) {
    await queue.enqueue({
      url: `${sink.url}/job/${n}`,
      callback: `${sink.url}/done/${n}`,
      headers: { "Upstash-Callback-Retry-Delay": "50" },
    });
  }
  const paths = (await sink.arrived(5)).map((a) => a.path);
  assert.deepEqual(paths, ["/job/1", "/done/1", "/done/1", "/job/2", "/done/2"]);
});

test("a callback fails like any message", async (t) => {
  const sink = await receiver(t, (a) => (a.path === "/done" ? { status: 400 } : undefined));
  const { messageId } = await qstash.publish({
    url: `${sink.url}/work`,
    callback: `${sink.url}/done`,
    headers: { "Upstash-Callback-Retries": "0", "Upstash-Callback-Failure-Callback": `${sink.url}/even-that` },
  });
  const [outer] = await told(sink, "/even-that", 1);
  assert.equal(outer.status, 400);
  assert.equal(JSON.parse(text(outer.sourceBody)).sourceMessageId, messageId);
  const item = await until("a dead letter", async () => (await qstash.dlq.listMessages({ filter: { url: `${sink.url}/done` } })).messages[0]);
  assert.equal(item.messageId, outer.sourceMessageId);
  await qstash.dlq.delete(item.dlqId);
});

test("what is wrong with a callback is refused", async () => {
  const publish = (headers) => qstash.publish({ url: "https://example.com", headers });
  await refused(publish({ "Upstash-Callback": "example.com" }), 400, /Upstash-Callback/);
  await refused(publish({ "Upstash-Failure-Callback": "http://169.254.169.254/" }), 400, /Upstash-Failure-Callback/);
  await refused(publish({ "Upstash-Callback-Retries": "1" }), 400, /Upstash-Callback is missing/);
  await refused(publish({ "Upstash-Callback": "https://example.com", "Upstash-Callback-Delay": "soon" }), 400, /Upstash-Callback-Delay/);
});

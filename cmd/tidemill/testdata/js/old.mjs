// What the suites of older releases share: what users of any of them do, in the words that
// all of them understand.
import assert from "node:assert/strict";
import { baseUrl, receiver, until } from "./support.mjs";

export const oldClient = (library, user) => new library.Client({ baseUrl, token: user.token, retry: false });

// rejected asserts that a release's own error is thrown. Its message is the answer's text:
// the older ones have no status.
export async function rejected(library, promise, text) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.name === "QstashError" || error.constructor.name === "QstashError", true, String(error));
    assert.match(JSON.parse(error.message).error, text);
    return true;
  });
}

// verified asserts that a release's receiver takes an arrival for one of this server's, and
// another body or destination for none.
export async function verified(library, user, arrival, url) {
  const verifier = new library.Receiver({ currentSigningKey: user.currentSigningKey, nextSigningKey: user.nextSigningKey });
  const claim = { signature: arrival.headers["upstash-signature"], body: arrival.body.toString(), url };
  assert.equal(await verifier.verify(claim), true);
  await assert.rejects(async () => assert.ok(await verifier.verify({ ...claim, body: `${claim.body} ` })));
  await assert.rejects(async () => assert.ok(await verifier.verify({ ...claim, url: `${url}/` })));
}

// delivers publishes with and without JSON, and verifies what arrives. to makes the part of
// a request that names its destination, forwarded the headers that are to be forwarded.
export async function delivers(t, library, user, to, forwarded) {
  const qstash = oldClient(library, user);
  const sink = await receiver(t);
  const url = `${sink.url}/a//b?x=%20`;
  const { messageId } = await qstash.publishJSON({ ...to(url), body: { n: "ü" }, headers: forwarded({ "My-Header": "one" }) });
  const [first] = await sink.arrived();
  assert.equal(first.headers["upstash-message-id"], messageId);
  assert.equal(first.method, "POST");
  assert.equal(first.path, "/a//b?x=%20");
  assert.equal(first.headers["content-type"], "application/json");
  assert.equal(first.headers["my-header"], "one");
  assert.deepEqual(JSON.parse(first.body), { n: "ü" });
  await verified(library, user, first, url);

  await qstash.publish({ ...to(url), body: "plain", headers: { "Content-Type": "text/x-test" } });
  const [, second] = await sink.arrived(2);
  assert.equal(second.headers["content-type"], "text/x-test");
  assert.equal(second.body.toString(), "plain");
}

// deduplicates checks both ways to say that a message is the same.
export async function deduplicates(t, library, user, to) {
  const qstash = oldClient(library, user);
  const sink = await receiver(t);
  for (const option of [{ deduplicationId: `old-${Math.random()}` }, { contentBasedDeduplication: true }]) {
    const first = await qstash.publish({ ...to(sink.url), body: "x", ...option });
    const second = await qstash.publish({ ...to(sink.url), body: "x", ...option });
    assert.equal(second.messageId, first.messageId);
    assert.equal(second.deduplicated, true);
  }
  await sink.arrived(2);
  assert.equal(sink.arrivals.length, 2);
}

// waits publishes for later, and cancels.
export async function waits(library, user, to) {
  const qstash = oldClient(library, user);
  const soon = await qstash.publish({ ...to("https://example.com/later"), body: "x", delay: 3600, retries: 2 });
  const message = await qstash.messages.get(soon.messageId);
  assert.equal(message.messageId, soon.messageId);
  assert.equal(message.url, "https://example.com/later");
  assert.equal(message.body, "x");
  assert.equal(message.maxRetries, 2);
  assert.ok(Math.abs(message.notBefore - message.createdAt - 3_600_000) < 1000);
  const at = Math.floor(Date.now() / 1000) + 600;
  const then = await qstash.publish({ ...to("https://example.com/later"), notBefore: at });
  assert.equal((await qstash.messages.get(then.messageId)).notBefore, at * 1000);
  for (const { messageId } of [soon, then]) {
    await qstash.messages.delete(messageId);
    await rejected(library, qstash.messages.get(messageId), /not found/);
    await rejected(library, qstash.messages.delete(messageId), /not found/);
  }
}

// reports gets a callback, and a failure callback where the release knows it.
export async function reports(t, library, user, to, { failure }) {
  const qstash = oldClient(library, user);
  const sink = await receiver(t, ({ path }) => (path === "/bad" ? { status: 500, body: "sorry" } : { body: "thanks" }));
  const good = await qstash.publish({ ...to(`${sink.url}/good`), callback: `${sink.url}/callback` });
  const [callback] = await sink.arrived(1, (a) => a.path === "/callback");
  const told = JSON.parse(callback.body);
  assert.equal(told.sourceMessageId, good.messageId);
  assert.equal(told.status, 200);
  assert.equal(Buffer.from(told.body, "base64").toString(), "thanks");
  await verified(library, user, callback, `${sink.url}/callback`);
  if (!failure) return;
  const bad = await qstash.publish({ ...to(`${sink.url}/bad`), retries: 0, failureCallback: `${sink.url}/failed` });
  const [failed] = await sink.arrived(1, (a) => a.path === "/failed");
  assert.equal(JSON.parse(failed.body).sourceMessageId, bad.messageId);
  assert.equal(JSON.parse(failed.body).status, 500);
}

// fansOut makes a topic, publishes to it, and changes it until it is gone.
export async function fansOut(t, library, user, name, to) {
  const qstash = oldClient(library, user);
  const sink = await receiver(t);
  const [one, two] = [`${sink.url}/1`, `${sink.url}/2`];
  await qstash.topics.delete(name);
  await qstash.topics.addEndpoints({ name, endpoints: [{ url: one, name: "First endpoint" }, { url: two }] });
  assert.deepEqual((await qstash.topics.get(name)).endpoints, [{ name: "First endpoint", url: one }, { url: two }]);
  assert.ok((await qstash.topics.list()).some((topic) => topic.name === name));
  const answer = await qstash.publishJSON({ ...to(name), body: { hello: "all" } });
  assert.deepEqual(answer.map((m) => m.url), [one, two]);
  for (const arrival of await sink.arrived(2)) {
    assert.equal(arrival.headers["upstash-topic-name"], name);
    assert.ok(answer.some((m) => m.messageId === arrival.headers["upstash-message-id"]));
    await verified(library, user, arrival, sink.url + arrival.path);
  }
  await qstash.topics.removeEndpoints({ name, endpoints: [{ name: "First endpoint" }] });
  assert.deepEqual((await qstash.topics.get(name)).endpoints, [{ url: two }]);
  await qstash.topics.removeEndpoints({ name, endpoints: [{ url: two }] });
  await rejected(library, qstash.topics.get(name), /not found/);
  await rejected(library, qstash.publish({ ...to(name) }), new RegExp(`topic ${name} not found`));
}

// remembers reads the history of one delivered message, and of one that fails, as the
// documentation of all releases does it: from now on backwards, page by page. read makes
// a page of a cursor.
export async function remembers(t, library, user, to, read) {
  const qstash = oldClient(library, user);
  const sink = await receiver(t, ({ path }) => (path === "/bad" ? { status: 500, body: "sorry" } : undefined));
  const good = await qstash.publish({ ...to(`${sink.url}/good`), body: "x" });
  const bad = await qstash.publish({ ...to(`${sink.url}/bad`), body: "x", retries: 0 });
  const statesOf = (events, { messageId }) => events.filter((e) => e.messageId === messageId).map((e) => e.state);
  const events = await until("events", async () => {
    const all = [];
    for (let cursor = Date.now() + 1000; cursor > 0; ) {
      const page = await read(qstash, cursor);
      all.push(...page.events);
      cursor = page.cursor ?? 0;
    }
    return statesOf(all, good).includes("DELIVERED") && statesOf(all, bad).includes("FAILED") && all;
  });
  assert.deepEqual(statesOf(events, good), ["DELIVERED", "ACTIVE", "CREATED"]);
  assert.deepEqual(statesOf(events, bad), ["FAILED", "ERROR", "ACTIVE", "CREATED"]);
  const failed = events.find((e) => e.messageId === bad.messageId && e.state === "ERROR");
  assert.equal(failed.url, `${sink.url}/bad`);
  assert.equal(typeof failed.time, "number");
  assert.ok(failed.error);
  return { good, bad, events };
}

// schedules creates, shows and deletes a schedule.
export async function schedules(library, user) {
  const qstash = oldClient(library, user);
  const { scheduleId } = await qstash.schedules.create({
    destination: "https://example.com/tick",
    cron: "0 0 1 1 *",
    body: JSON.stringify({ tick: true }),
    headers: { "Content-Type": "application/json", "Upstash-Forward-A": "b" },
    method: "PUT",
    delay: 60,
    retries: 1,
    callback: "https://example.com/callback",
  });
  const schedule = await qstash.schedules.get(scheduleId);
  assert.equal(schedule.scheduleId, scheduleId);
  assert.equal(schedule.cron, "0 0 1 1 *");
  assert.equal(schedule.destination, "https://example.com/tick");
  assert.equal(schedule.body, '{"tick":true}');
  assert.deepEqual(schedule.header, { "Content-Type": ["application/json"], A: ["b"] });
  assert.equal(schedule.method, "PUT");
  assert.equal(schedule.delay, 60);
  assert.equal(schedule.retries, 1);
  assert.equal(schedule.callback, "https://example.com/callback");
  assert.equal(typeof schedule.createdAt, "number");
  assert.ok((await qstash.schedules.list()).some((s) => s.scheduleId === scheduleId));
  await qstash.schedules.delete(scheduleId);
  await rejected(library, qstash.schedules.get(scheduleId), /not found/);
  await rejected(library, qstash.schedules.create({ destination: "https://example.com", cron: "every day" }), /Upstash-Cron/);
}

// dies publishes what fails for good and returns its dead letter, out of what list gives.
export async function dies(t, library, user, to, list, options = {}) {
  const qstash = oldClient(library, user);
  const sink = await receiver(t, () => ({ status: 404, body: "404 Not Found" }));
  const { messageId } = await qstash.publish({ ...to(`${sink.url}/dead`), body: "will fail", retries: 0, ...options });
  const letter = await until("dead letter", async () => (await list(qstash)).find((m) => m.messageId === messageId));
  assert.match(letter.dlqId, /^\d+-\d+$/);
  assert.equal(letter.body, "will fail");
  assert.equal(letter.responseStatus, 404);
  assert.equal(letter.responseBody, "404 Not Found");
  return letter;
}

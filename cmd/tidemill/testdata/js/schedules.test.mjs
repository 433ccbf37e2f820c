// Schedules, as the client creates, shows, changes and ends them (QSTASH.md §8.6).
// All that is created here ends here: the list is compared as a whole.
import assert from "node:assert/strict";
import test from "node:test";
import { api, baseUrl, client, receiver, refused, until, users } from "./support.mjs";

const user = users.schedules;
const qstash = client(user);
const never = "https://example.com/never"; // of schedules that are not due in this life
const newYear = "0 0 1 1 *";

// schedule creates one that the test ends.
async function schedule(t, request) {
  const { scheduleId } = await qstash.schedules.create({ destination: never, cron: newYear, ...request });
  t.after(() => qstash.schedules.delete(scheduleId));
  return scheduleId;
}

test("create and get", async (t) => {
  const before = Date.now();
  const scheduleId = await schedule(t, {
    cron: "*/10 * 1 1 * ",
    body: "hello",
    method: "PUT",
    headers: { "Content-Type": "text/plain", "test-header": "test-value" },
    retries: 7,
    retryDelay: "1000 * (1 + retried)",
    delay: 90,
    timeout: "30s",
  });
  assert.match(scheduleId, /^scd_\w+$/);
  const got = await qstash.schedules.get(scheduleId);
  assert.equal(got.scheduleId, scheduleId);
  assert.equal(got.cron, "*/10 * 1 1 *");
  assert.equal(got.destination, never);
  assert.equal(got.method, "PUT");
  assert.equal(got.body, "hello");
  assert.deepEqual(got.header, { "Content-Type": ["text/plain"], "Test-Header": ["test-value"] });
  assert.equal(got.retries, 7);
  assert.equal(got.retryDelayExpression, "1000 * (1 + retried)");
  assert.equal(got.delay, 90);
  assert.equal(got.timeout, 30);
  assert.equal(got.isPaused, false);
  assert.equal(got.callerIP, "127.0.0.1");
  assert.ok(got.createdAt >= before && got.createdAt <= Date.now());
  assert.ok(got.nextScheduleTime > Date.now() && got.nextScheduleTime % 600_000 === 0);
  assert.equal(got.lastScheduleTime, undefined);
  assert.equal(got.tidemill, undefined);
});

test("the client's defaults: POST, JSON, three retries", async (t) => {
  const got = await qstash.schedules.get(await schedule(t, {}));
  assert.equal(got.method, "POST");
  assert.equal(got.retries, 3);
  assert.deepEqual(got.header, { "Content-Type": ["application/json"] });
  assert.equal(got.body, undefined);
  assert.equal(got.delay, undefined);
});

test("a schedule id replaces everything and keeps the time of creation", async (t) => {
  const scheduleId = "My.own_schedule-1";
  assert.equal(await schedule(t, { scheduleId, body: "old", delay: 5, headers: { "X-Old": "1" } }), scheduleId);
  const first = await qstash.schedules.get(scheduleId);
  await qstash.schedules.create({ destination: `${never}/2`, cron: "CRON_TZ=Asia/Tokyo 30 9 1 1 *", scheduleId, method: "GET" });
  const second = await qstash.schedules.get(scheduleId);
  assert.equal(second.createdAt, first.createdAt);
  assert.equal(second.destination, `${never}/2`);
  assert.equal(second.cron, "CRON_TZ=Asia/Tokyo 30 9 1 1 *");
  assert.equal(second.method, "GET");
  assert.equal(second.body, undefined);
  assert.equal(second.delay, undefined);
  assert.deepEqual(second.header, { "Content-Type": ["application/json"] });
  assert.equal(new Date(second.nextScheduleTime).toISOString().slice(4), "-01-01T00:30:00.000Z");
});

test("pause and resume, twice each", async (t) => {
  const schedule_ = await schedule(t, {});
  for (const [change, paused] of [["pause", true], ["pause", true], ["resume", false], ["resume", false]]) {
    await qstash.schedules[change]({ schedule: schedule_ });
    assert.equal((await qstash.schedules.get(schedule_)).isPaused, paused);
  }
  for (const method of ["POST", "PUT"]) { // the documentation's way, and an old client's
    assert.equal((await api(user, method, `/v2/schedules/${schedule_}/pause`)).status, 200);
    assert.equal((await api(user, method, `/v2/schedules/${schedule_}/resume`)).status, 200);
  }
});

test("list and delete; the path in the case of the Go client", async (t) => {
  const ids = [await schedule(t, {}), await schedule(t, {})].sort();
  const listed = async () => (await qstash.schedules.list()).map((s) => s.scheduleId).sort();
  assert.deepEqual((await listed()).filter((id) => ids.includes(id)), ids);
  const { json } = await api(user, "GET", "/v2/Schedules");
  assert.deepEqual(json.map((s) => s.scheduleId).filter((id) => ids.includes(id)).sort(), ids);

  await qstash.schedules.delete(ids[0]);
  await qstash.schedules.delete(ids[0]); // again is no error
  await refused(qstash.schedules.get(ids[0]), 404);
  assert.equal((await api(user, "DELETE", "/v2/schedules/")).status, 400, "an empty id means none, not all");
  assert.ok((await listed()).includes(ids[1]));
});

test("a schedule of another user is as unknown as one that never was", async (t) => {
  const id = await schedule(t, {});
  const stranger = client(users.publish).schedules;
  await refused(stranger.get(id), 404);
  await refused(stranger.pause({ schedule: id }), 404);
  await stranger.delete(id);
  assert.deepEqual((await stranger.list()).filter((s) => s.scheduleId === id), []);
  assert.equal((await qstash.schedules.get(id)).isPaused, false);
});

test("what is wrong is refused and creates nothing", async () => {
  const before = (await qstash.schedules.list()).length;
  const create = (request) => qstash.schedules.create({ destination: never, cron: newYear, ...request });
  await refused(create({ cron: "60 * * * *" }), 400, /Upstash-Cron.*minute/);
  await refused(create({ cron: "0 0 31 2 *" }), 400, /Upstash-Cron.*never fires/);
  await refused(create({ cron: "* * * * * *" }), 400, /Upstash-Cron.*field/);
  await refused(create({ cron: "CRON_TZ=Mars/X * * * * *" }), 400, /Upstash-Cron.*Mars/);
  await refused(create({ scheduleId: "a b" }), 400, /Upstash-Schedule-Id/);
  await refused(create({ destination: "" }), 400, /invalid destination url/);
  await refused(create({ destination: "a-url-group" }), 404, /topic a-url-group not found/);
  await refused(create({ callback: "nowhere" }), 400, /Upstash-Callback/);
  await refused(create({ queueName: "a b" }), 400, /Upstash-Queue-Name/);
  await refused(create({ headers: { "Tidemill-Jitter": "1y" } }), 400, /Tidemill-Jitter/);
  assert.equal((await qstash.schedules.list()).length, before);
});

test("the body form of 2.0 and 2.1", async (t) => {
  const { status, json } = await api(user, "POST", "/v2/schedules", {
    destination: never,
    cron: newYear,
    body: '{"a":1}',
    headers: { "Content-Type": "application/json", "Upstash-Forward-X-A": "b" },
    delay: 60,
    retries: 1,
    method: "DELETE",
  });
  assert.equal(status, 200);
  t.after(() => qstash.schedules.delete(json.scheduleId));
  const got = await qstash.schedules.get(json.scheduleId);
  assert.deepEqual([got.destination, got.cron, got.body, got.delay, got.retries, got.method], [never, newYear, '{"a":1}', 60, 1, "DELETE"]);
  assert.deepEqual(got.header, { "X-A": ["b"], "Content-Type": ["application/json"] });
});

test("a cron makes a schedule of a publish, and of a message in a batch", async (t) => {
  const headers = { "Upstash-Cron": newYear, "Upstash-Schedule-Id": "published" };
  const single = await qstash.publish({ url: never, body: "x", headers });
  assert.deepEqual(single, { scheduleId: "published" });
  t.after(() => qstash.schedules.delete("published"));
  const [{ scheduleId }] = await qstash.batch([{ url: never, body: "x", headers: { "Upstash-Cron": newYear } }]);
  t.after(() => qstash.schedules.delete(scheduleId));
  for (const id of ["published", scheduleId]) assert.equal((await qstash.schedules.get(id)).body, "x");
});

// The client writes Upstash-Forward- before a header that it does not know, which
// the server takes for the option that it is.
test("ticks arrive, with the extension that names seconds", async (t) => {
  const sink = await receiver(t);
  const scheduleId = await schedule(t, {
    destination: `${sink.url}/tick?x=1`,
    cron: "* * * * * *",
    body: "tick",
    headers: { "Tidemill-Cron-Seconds": "true", "X-A": "b" },
  });
  const [first, second] = await sink.arrived(2);
  for (const arrival of [first, second]) {
    assert.equal(arrival.method, "POST");
    assert.equal(arrival.path, "/tick?x=1");
    assert.equal(arrival.body.toString(), "tick");
    assert.equal(arrival.headers["upstash-schedule-id"], scheduleId);
    assert.equal(arrival.headers["x-a"], "b");
    assert.deepEqual(Object.keys(arrival.headers).filter((name) => name.startsWith("tidemill")), []);
  }
  assert.notEqual(first.headers["upstash-message-id"], second.headers["upstash-message-id"]);

  await qstash.schedules.pause({ schedule: scheduleId });
  const got = await until("the last tick's state", async () => {
    const view = await qstash.schedules.get(scheduleId);
    return Object.values(view.lastScheduleStates ?? {}).includes("SUCCESS") && view;
  });
  assert.deepEqual(got.tidemill, { cronSeconds: true });
  assert.ok(got.lastScheduleTime % 1000 === 0 && got.lastScheduleTime > got.createdAt);
  const count = sink.arrivals.length;
  assert.ok(sink.arrivals.some((a) => a.headers["upstash-message-id"] === Object.keys(got.lastScheduleStates)[0]));
  await qstash.schedules.delete(scheduleId);
  assert.equal(sink.arrivals.length, count, "a paused schedule published");
});

test("a preview of a schedule, and of an expression before there is one", async (t) => {
  const cron = "CRON_TZ=Europe/Berlin 30 2 29 3 *";
  const id = await schedule(t, { cron });
  const ofSchedule = await api(user, "GET", `/v2/schedules/${id}/next?n=3`);
  const ofCron = await api(user, "GET", `/v2/schedules/next?n=3&cron=${encodeURIComponent(cron)}`);
  assert.equal(ofSchedule.status, 200);
  assert.equal(ofSchedule.json.next.length, 3);
  assert.deepEqual(ofSchedule.json, ofCron.json);
  for (const tick of ofCron.json.next) assert.equal(new Date(tick.local).getTime(), tick.time);
  assert.equal(ofSchedule.json.next[0].time, (await qstash.schedules.get(id)).nextScheduleTime);
  const wrong = await fetch(`${baseUrl}/v2/schedules/next?cron=61+*+*+*+*`, { headers: { Authorization: `Bearer ${user.token}` } });
  assert.equal(wrong.status, 400);
});

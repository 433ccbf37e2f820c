// What is set up: schedules, queues, flow-control keys, URL groups, keys; each action checked by what
// it did at the API.
import assert from "node:assert/strict";
import test from "node:test";
import { accessible, api, baseUrl, publish, receiver, shot, until, users, visit } from "./support.mjs";

const token = users.manage;
const dialog = (page) => page.getByRole("dialog");
const confirm = (page, name) => dialog(page).getByRole("button", { name, exact: true }).click();

test("a schedule is created with a preview, run, paused and deleted", async (t) => {
  const sink = await receiver(t);
  const page = await visit(t, { path: "schedules", token });
  await page.getByText("No schedule yet").waitFor();
  await page.getByRole("button", { name: "Create a schedule" }).click();
  const form = page.getByRole("form", { name: "Create a schedule" });
  await form.getByLabel("Destination").fill(`${sink.url}/nightly`);
  await form.getByLabel("Cron").fill("30 2 29 3 *");
  await form.getByLabel("Time zone").fill("Europe/Berlin");
  await form.getByLabel("Schedule id").fill("nightly");
  await form.getByLabel("Body").fill('{"report":true}');
  await form.getByRole("status", { name: "Next times" }).locator("li").first().waitFor();
  await accessible(page, "the form of a schedule");
  await form.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByText("does not exist; fires at the first moment after it").waitFor(); // 29 March 2037 in Berlin
  await shot(page, "schedule-light");
  const schedule = async () => (await api(token, "/v2/schedules")).find((s) => s.scheduleId === "nightly");
  assert.deepEqual([(await schedule()).cron, (await schedule()).body], ["CRON_TZ=Europe/Berlin 30 2 29 3 *", '{"report":true}']);

  await page.getByRole("button", { name: "Run now" }).click();
  await confirm(page, "Run now");
  await page.getByText("answered 200").waitFor();
  assert.equal(sink.arrivals[0].body, '{"report":true}');

  await page.goBack();
  await page.getByRole("button", { name: "Pause" }).click();
  await confirm(page, "Pause");
  await page.getByText("paused", { exact: true }).waitFor();
  assert.equal((await schedule()).isPaused, true);
  await page.getByRole("button", { name: "Delete" }).click();
  await confirm(page, "Delete");
  await page.getByText("No schedule yet").waitFor();
  assert.equal(await schedule(), undefined);
});

test("an expression that is wrong is told while it is written", async (t) => {
  const page = await visit(t, { path: "schedules", token, expected: ["400"] });
  await page.getByRole("button", { name: "Create a schedule" }).click();
  await page.getByLabel("Cron").fill("99 * * * *");
  await page.getByRole("status", { name: "Next times" }).locator(".notice").waitFor();
});

test("signing keys are rotated", async (t) => {
  const page = await visit(t, { path: "settings", token });
  const before = await api(token, "/v2/keys");
  await page.getByRole("button", { name: "Show the current key" }).click();
  await page.getByText(before.current).waitFor();
  assert.equal(await page.getByText(before.next).count(), 0);
  await page.getByRole("button", { name: "Rotate" }).click();
  await confirm(page, "Rotate");
  await page.getByText(before.next).waitFor(); // it is the current one now
  const now = await api(token, "/v2/keys");
  assert.equal(now.current, before.next);
  assert.notEqual(now.next, before.next);
  await page.getByRole("link", { name: "Limits" }).click();
  await page.getByText("Largest message").waitFor();
  await accessible(page, "limits");
});

test("who may not see tokens is told so", async (t) => {
  const page = await visit(t, { path: "settings/tokens", token, expected: ["403"] });
  await page.getByRole("alert").filter({ hasText: "needs an admin's token" }).waitFor();
});

test("queues are created, changed, paused, purged and deleted", async (t) => {
  const page = await visit(t, { path: "queues", token });
  await page.getByRole("button", { name: "Create a queue" }).click();
  await dialog(page).getByLabel("Name").fill("orders");
  await dialog(page).getByLabel("Parallelism").fill("3");
  await accessible(page, "the form of a queue");
  await confirm(page, "Create");
  const row = page.getByRole("row").filter({ hasText: "orders" });
  await row.getByRole("button", { name: "Pause" }).click();
  await confirm(page, "Pause");
  await row.getByText("paused").waitFor();
  const [queue] = await api(token, "/v2/queues");
  assert.deepEqual([queue.name, queue.parallelism, queue.paused], ["orders", 3, true]);
  await row.getByRole("button", { name: "Delete" }).click();
  await confirm(page, "Delete");
  await page.getByText("No queue yet").waitFor();
  assert.deepEqual(await api(token, "/v2/queues"), []);

  await page.getByRole("button", { name: "Create a pull or webhook queue" }).click();
  await dialog(page).getByLabel("Name").fill("jobs");
  await dialog(page).getByLabel("Dead letter queue").fill("jobs-dead");
  await dialog(page).getByLabel("Retries").fill("7");
  await confirm(page, "Create");
  const jobs = page.getByRole("row").filter({ has: page.getByText("jobs", { exact: true }) });
  await jobs.waitFor();
  const json = { method: "POST", headers: { "Content-Type": "application/json" } };
  await api(token, "/v1/publish", { ...json, body: '{"queue":"jobs","message":1}' });
  await jobs.getByRole("cell", { name: "1", exact: true }).first().waitFor();
  await accessible(page, "queues");
  await jobs.getByRole("button", { name: "Purge" }).click();
  await confirm(page, "Purge");
  await until("it is empty", async () => (await api(token, "/v1/metrics")).queues.jobs.pending === 0);
  const { queues } = await api(token, "/v1/queues");
  assert.deepEqual(queues.find((q) => q.name === "jobs").max_retries, 7);
});

test("a flow-control key is paused and pinned", async (t) => {
  const sink = await receiver(t);
  await publish(token, sink.url, "x", { "Upstash-Delay": "1h", "Upstash-Flow-Control-Key": "shop", "Upstash-Flow-Control-Value": "rate=5, period=1m" });
  const page = await visit(t, { path: "flow", token });
  const row = page.getByRole("row").filter({ hasText: "shop" });
  await row.getByRole("button", { name: "Pause" }).click();
  await confirm(page, "Pause");
  await row.getByText("paused").waitFor();
  await row.getByRole("button", { name: "Pin", exact: true }).click();
  await dialog(page).getByLabel("Parallelism").fill("2");
  await confirm(page, "Pin");
  await row.getByText("pinned").waitFor();
  const key = (await api(token, "/v2/flowControl")).find((f) => f.flowControlKey === "shop");
  assert.deepEqual([key.isPaused, key.isPinnedParallelism, key.parallelismMax], [true, true, 2]);
  await accessible(page, "flow control");
});

test("a URL group gets endpoints and loses them", async (t) => {
  const page = await visit(t, { path: "groups", token });
  await page.getByRole("button", { name: "Create a group" }).click();
  await dialog(page).getByLabel("Name of the group").fill("all-shops");
  await dialog(page).getByLabel("URL of the endpoint").fill("https://one.example.com/hook");
  await confirm(page, "Create");
  await page.getByRole("link", { name: "all-shops" }).click();
  await page.getByText("https://one.example.com/hook").waitFor();
  await accessible(page, "a group");
  await page.getByRole("button", { name: "Add an endpoint" }).click();
  await dialog(page).getByLabel("URL of the endpoint").fill("https://two.example.com/hook");
  await confirm(page, "Add");
  await page.getByRole("row").filter({ hasText: "two.example.com" }).getByRole("button", { name: "Remove" }).click();
  await confirm(page, "Remove");
  await page.getByRole("row").filter({ hasText: "two.example.com" }).waitFor({ state: "detached" });
  const [group] = await api(token, "/v2/topics");
  assert.deepEqual(group.endpoints.map((e) => e.url), ["https://one.example.com/hook"]);
  await page.getByRole("button", { name: "Remove" }).click();
  await dialog(page).getByText("the group goes with it").waitFor();
  await confirm(page, "Remove");
  await page.getByText("No URL group yet").waitFor();
  assert.deepEqual(await api(token, "/v2/topics"), []);
});

test("hosts show where messages go, the catch page what arrived", async (t) => {
  const page = await visit(t, { path: "catch", token });
  const { messageId } = await publish(token, `${baseUrl}/dev/catch/shown?a=1`, "<b>caught</b>", { "Upstash-Forward-X-Kind": "test" });
  const row = page.getByRole("row").filter({ hasText: messageId });
  await row.getByText("signature verified").waitFor();
  await row.getByRole("button").click();
  const arrival = page.getByRole("region", { name: "Arrival", exact: true });
  await arrival.getByText("<b>caught</b>").waitFor();
  await arrival.getByText("X-Kind").waitFor();
  await accessible(page, "what arrived");
  await publish(token, `${baseUrl}/dev/catch/soon`, "x", { "Upstash-Delay": "45s" });
  await page.getByRole("link", { name: "Hosts" }).click();
  await page.getByText("answers", { exact: true }).waitFor();
  await accessible(page, "hosts");
});

// What people do: sign in, publish, see it delivered, follow what fails into the dead letter queue,
// bring it back. Each action is checked by what it did at the API.
import assert from "node:assert/strict";
import test from "node:test";
import { api, baseUrl, publish, receiver, signIn, until, users, visit } from "./support.mjs";

const token = users.flow;
const row = (page, id, state) => page.getByRole("row").filter({ hasText: id }).filter({ hasText: state });
const lastState = async (id) => (await api(token, `/v2/logs?messageId=${id}`)).events[0]?.state;

test("a wrong token is refused, a good one stays in its tab", async (t) => {
  const page = await visit(t, { expected: ["401"] });
  await page.getByLabel("Token").fill("wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("The server does not know this token.").waitFor();
  await signIn(page, token);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  assert.deepEqual(await page.evaluate(() => [sessionStorage.length, localStorage.length, document.cookie]), [1, 0, ""]);
  await page.reload();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  const other = await page.context().newPage();
  await other.goto(`${baseUrl}/ui/`);
  await other.getByLabel("Token").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Token").waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});

test("a message that is published is seen delivered, live", async (t) => {
  const sink = await receiver(t);
  const watch = await visit(t, { path: "messages?label=live-one", token });
  await watch.getByText("Live", { exact: true }).waitFor();
  const page = await visit(t, { path: "publish", token });
  await page.getByLabel("Destination").fill(`${sink.url}/hook?a=1`);
  await page.getByLabel("Body", { exact: true }).fill('{"hello":"world"}');
  await page.getByLabel("Labels").fill("live-one");
  await page.getByRole("button", { name: "Add a header" }).click();
  await page.getByLabel("Forwarded headers: name").fill("X-Kind");
  await page.getByLabel("Forwarded headers: value").fill("test");
  const command = await page.getByLabel("curl command").textContent();
  assert.match(command, /curl -X POST/);
  assert.ok(command.includes(`'${baseUrl}/v2/publish/${sink.url}/hook?a=1'`), command);
  assert.ok(!command.includes(token), "the command shows the token");
  await page.getByRole("button", { name: "Publish", exact: true }).click();
  const link = page.locator(".notice").getByRole("link");
  const id = await link.textContent();
  await row(watch, id, "delivered").waitFor();
  assert.equal(await lastState(id), "DELIVERED");
  assert.equal(sink.arrivals.length, 1);
  assert.deepEqual([sink.arrivals[0].path, sink.arrivals[0].body, sink.arrivals[0].headers["x-kind"]], ["/hook?a=1", '{"hello":"world"}', "test"]);

  await link.click();
  await page.getByText("answered 200").waitFor();
  await page.getByText('"hello": "world"').waitFor(); // as indented JSON
  await page.getByRole("button", { name: "Publish again" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Publish", exact: true }).click();
  await until("the copy arrives", () => sink.arrivals.length === 2);
  assert.deepEqual([sink.arrivals[1].body, sink.arrivals[1].headers["x-kind"]], ['{"hello":"world"}', "test"]);
});

test("a message that fails is followed into the dead letter queue, and retried", async (t) => {
  let broken = true;
  const sink = await receiver(t, () => (broken ? { status: 503, body: "not today" } : undefined));
  const page = await visit(t, { path: "publish", token });
  await page.getByLabel("Destination").fill(`${sink.url}/breaks`);
  await page.getByLabel("Body", { exact: true }).fill("once more");
  await page.getByLabel("Retries").fill("0");
  await page.getByRole("button", { name: "Publish", exact: true }).click();
  const link = page.locator(".notice").getByRole("link");
  const id = await link.textContent();
  await link.click();
  await page.getByText("Given up").waitFor();
  await page.getByRole("link", { name: "Its dead letter" }).click();
  await page.getByRole("link", { name: id }).click();
  await page.getByText("not today").waitFor();
  broken = false;
  await page.getByRole("button", { name: "Retry" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Retry" }).click();
  await page.getByText("answered 200").waitFor();
  assert.equal((await api(token, `/v2/dlq?messageId=${id}`)).messages.length, 0);
  assert.equal(sink.arrivals.at(-1).body, "once more");
});

test("dead letters are retried and deleted in bulk", async (t) => {
  let broken = true;
  const sink = await receiver(t, () => (broken ? { status: 500 } : undefined));
  const dead = async (label) => (await api(token, `/v2/dlq?label=${label}`)).messages.length;
  for (const label of ["bulk-go", "bulk-back"]) {
    for (let i = 0; i < 3; i++) await publish(token, `${sink.url}/${label}/${i}`, "x", { "Upstash-Retries": "0", "Upstash-Label": label });
    await until("they fail", async () => (await dead(label)) === 3);
  }
  const page = await visit(t, { path: "dlq?label=bulk-go", token });
  await page.getByRole("checkbox", { name: "Select all" }).check();
  await page.getByRole("button", { name: "Delete 3" }).click();
  await page.getByRole("dialog").getByRole("button", { name: /^Delete 3/ }).click();
  await page.getByText("Nothing matches").waitFor();
  assert.deepEqual([await dead("bulk-go"), await dead("bulk-back")], [0, 3]);

  broken = false;
  await page.goto(`${baseUrl}/ui/#/dlq?label=bulk-back`);
  await page.getByRole("button", { name: "Retry all that match" }).click();
  await page.getByRole("dialog").getByRole("button", { name: /^Retry all/ }).click();
  await page.getByText("Nothing matches").waitFor();
  await until("they arrive again", () => sink.arrivals.length === 9);
  assert.equal(await dead("bulk-back"), 0);
});

test("a message that waits is canceled", async (t) => {
  const sink = await receiver(t);
  const { messageId } = await publish(token, sink.url, "later", { "Upstash-Delay": "1h" });
  const page = await visit(t, { path: `messages/${messageId}`, token });
  await page.getByText("Waiting for its time").waitFor();
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel the message" }).click();
  await page.getByText("canceled", { exact: true }).waitFor();
  assert.equal(await lastState(messageId), "CANCELED");
});

test("an error of the API is told where it happens", async (t) => {
  const page = await visit(t, { path: "publish", token, expected: ["400"] });
  await page.getByLabel("Destination").fill("https://example.com");
  await page.getByLabel("Retries").fill("many");
  await page.getByRole("button", { name: "Publish", exact: true }).click();
  await page.getByRole("alert").filter({ hasText: "Upstash-Retries" }).waitFor();
});

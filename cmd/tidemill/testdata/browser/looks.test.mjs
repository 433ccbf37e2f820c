// How pages look and behave as pages: axe finds nothing, in light, dark and on a phone; the keyboard
// is enough; a proxy may put a path before them; a tab that is hidden is silent. Pictures are left
// behind.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";
import test, { after } from "node:test";
import { accessible, baseUrl, publish, receiver, shot, until, users, visit, api } from "./support.mjs";

const token = users.looks;

// something makes the pages have something to show: messages that are delivered, wait and fail.
let made;
async function something(t) {
  made ??= (async () => {
    const sink = await receiver(t, (r) => (r.url === "/broken" ? { status: 500, body: '{"error":"out of stock"}', headers: { "Content-Type": "application/json" } } : undefined));
    const json = { "Content-Type": "application/json", "Upstash-Label": "orders" };
    const order = (n) => JSON.stringify({ order: n, items: [{ sku: "A-1", count: 2 }], total: 12.5 });
    for (let i = 0; i < 12; i++) await publish(token, `${sink.url}/orders`, order(i), json);
    await publish(token, `${sink.url}/orders`, order(99), { ...json, "Upstash-Delay": "2h" });
    const set = { method: "POST", headers: { "Content-Type": "application/json" } };
    await api(token, `/v2/schedules/${sink.url}/report`, { method: "POST", headers: { "Upstash-Cron": "CRON_TZ=Europe/Berlin 30 2 * * *", "Upstash-Schedule-Id": "nightly-report" } });
    await api(token, "/v2/queues", { ...set, body: '{"queueName":"orders","parallelism":2}' });
    await api(token, "/v1/queues", { ...set, body: '{"name":"jobs","dead_letter_queue":"jobs-dead"}' });
    await api(token, "/v2/topics/shops/endpoints", { ...set, body: '{"endpoints":[{"url":"https://one.example.com/a-long-path-that-no-phone-has-room-for"}]}' });
    await publish(token, `${sink.url}/slow`, "x", { "Upstash-Delay": "50s", "Upstash-Flow-Control-Key": "payments", "Upstash-Flow-Control-Value": "rate=10, period=1m, parallelism=2" });
    await publish(token, `${baseUrl}/dev/catch/hello`, order(1), json);
    const { messageId } = await publish(token, `${sink.url}/broken`, order(13), { ...json, "Upstash-Retries": "1", "Upstash-Retry-Delay": "100" });
    const [letter] = await until("one fails", async () => {
      const { messages } = await api(token, `/v2/dlq?messageId=${messageId}`);
      return messages.length > 0 && messages;
    });
    return { messageId, dlqId: letter.dlqId };
  })();
  return made;
}

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

for (const [name, options] of Object.entries({ light: { colorScheme: "light" }, dark: { colorScheme: "dark" }, phone })) {
  test(`every page, ${name}`, async (t) => {
    const { messageId, dlqId } = await something(t);
    const page = await visit(t, options);
    await accessible(page, "the sign-in");
    await page.getByLabel("Token").fill(token);
    await page.keyboard.press("Enter");
    for (const [path, what, there] of [
      ["overview", "overview", ".plot canvas"],
      ["messages", "messages", "tbody tr"],
      [`messages/${messageId}`, "message", ".timeline li"],
      ["dlq", "dead-letters", "tbody tr"],
      [`dlq/${dlqId}`, "dead-letter", ".facts"],
      ["publish", "publish", "form"],
      ["schedules", "schedules", "tbody tr"],
      ["schedules/nightly-report", "schedule", ".ticks li"],
      ["queues", "queues", "tbody tr"],
      ["flow", "flow-control", "tbody tr"],
      ["groups/shops", "url-group", "tbody tr"],
      ["hosts", "hosts", "tbody tr"],
      ["catch", "catch", "tbody tr"],
      ["settings", "settings", ".secret"],
    ]) {
      await page.goto(`${baseUrl}/ui/#/${path}`);
      await page.locator(there).first().waitFor();
      await accessible(page, what);
      await shot(page, `${what}-${name}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wide <= 0, `${what} is ${wide} px wider than the screen`);
    }
    await page.getByRole("link", { name: "Dead letters" }).click();
    await page.getByRole("checkbox", { name: "Select all" }).check();
    await page.getByRole("button", { name: /^Delete \d/ }).click();
    await accessible(page, "a dialog");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
  });
}

test("the keyboard is enough", async (t) => {
  const { messageId } = await something(t);
  const page = await visit(t, { path: `messages?messageId=${messageId}`, token });
  await page.locator("tbody tr").first().waitFor();
  await page.getByRole("region", { name: "Messages" }).focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  assert.equal(await page.evaluate(() => document.activeElement.closest("tr").rowIndex), 2);
  await page.keyboard.press("Enter");
  await page.locator(".timeline").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "main", "the focus is where the new page is");
});

test("light and dark are a choice that stays", async (t) => {
  const page = await visit(t, { token, colorScheme: "light" });
  await page.getByRole("button", { name: "Dark" }).click();
  await page.reload();
  await page.getByRole("button", { name: "Light" }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
});

// proxies outlive their tests, whose pages would complain.
const proxies = [];
after(() => {
  for (const server of proxies) {
    server.closeAllConnections();
    server.close();
  }
});

// under is a proxy that has the server under a path, as others do.
async function under(prefix) {
  const target = new URL(baseUrl);
  const server = createServer((from, to) => {
    if (!from.url.startsWith(`${prefix}/`)) return to.writeHead(404).end();
    const up = request({ host: target.hostname, port: target.port, method: from.method, path: from.url.slice(prefix.length), headers: from.headers }, (answer) => {
      to.writeHead(answer.statusCode, answer.headers);
      to.flushHeaders();
      answer.pipe(to);
    });
    up.on("error", () => to.destroy());
    to.on("close", () => up.destroy());
    from.pipe(up);
    return undefined;
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  proxies.push(server);
  return `http://127.0.0.1:${server.address().port}${prefix}`;
}

test("a proxy has the dashboard under a path", async (t) => {
  const { messageId } = await something(t);
  const at = await under("/tools/queue");
  const page = await visit(t, { at, path: "messages", token });
  await page.getByRole("link", { name: messageId }).first().waitFor();
  await page.getByText("Live", { exact: true }).waitFor();
  await page.goto(`${at}/ui`); // without the slash
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  assert.equal(page.url().split("#")[0], `${at}/ui/`);
});

test("a hidden tab makes no request", async (t) => {
  for (const path of ["overview", "messages"]) {
    const page = await visit(t, { path, token });
    const hide = (hidden) =>
      page.evaluate((is) => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => is });
        document.dispatchEvent(new Event("visibilitychange"));
      }, hidden);
    await page.locator(path === "overview" ? ".plot canvas" : "tbody tr").first().waitFor();
    await hide(true);
    let requests = 0;
    page.on("request", () => requests++);
    await page.waitForTimeout(3000); // an overview asks every two seconds while it is seen
    assert.equal(requests, 0, `${path} asks while it is hidden`);
    const asked = page.waitForRequest(() => true);
    await hide(false);
    await asked;
  }
});

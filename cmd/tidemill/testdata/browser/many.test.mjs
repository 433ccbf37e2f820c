// Ten thousand rows: what is drawn has a bound, and no task of the page takes long.
import assert from "node:assert/strict";
import test from "node:test";
import { api, baseUrl, users, visit } from "./support.mjs";

const token = users.many;
const rows = 10_000;
const messages = rows / 2; // each is created and canceled

// longest returns how long the longest task of the page was while act ran, in ms of the processor's
// time: that of the clock would be this machine's load.
async function longest(page, act) {
  const client = await page.context().newCDPSession(page);
  const events = [];
  client.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  await client.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: ["toplevel", "__metadata"], excludedCategories: ["*"] } });
  await act();
  const complete = new Promise((resolve) => client.once("Tracing.tracingComplete", resolve));
  await client.send("Tracing.end");
  await complete;
  await client.detach();
  const main = new Set(events.filter((e) => e.name === "thread_name" && e.args.name === "CrRendererMain").map((e) => `${e.pid} ${e.tid}`));
  const tasks = events.filter((e) => e.ph === "X" && main.has(`${e.pid} ${e.tid}`) && e.tdur !== undefined);
  assert.ok(tasks.length > 100, `${tasks.length} tasks were seen`);
  return Math.max(...tasks.map((e) => e.tdur)) / 1000;
}

test("ten thousand rows", async (t) => {
  const batch = JSON.stringify(Array.from({ length: messages }, (_, i) => ({ destination: `http://127.0.0.1:1/${i}`, body: `${i}`, headers: { "Upstash-Delay": "1h" } })));
  await api(token, "/v2/batch", { method: "POST", body: batch, headers: { "Content-Type": "application/json" } });
  await api(token, "/v2/messages", { method: "DELETE" });

  const page = await visit(t, { path: "messages?state=CREATED&state=CANCELED", token });
  const box = page.getByRole("region", { name: "Messages" });
  await box.waitFor();
  const took = await longest(page, () =>
    box.evaluate(async (el, most) => {
      const foot = () => Number(document.querySelector(".table-foot span").textContent.replace(/[^0-9]/g, ""));
      while (foot() < most) {
        el.scrollTop = el.scrollHeight;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }, rows),
  );
  const drawn = await page.locator("tbody tr").count();
  assert.ok(drawn < 100, `${drawn} rows are drawn`);
  assert.equal(await page.getByRole("table").getAttribute("aria-rowcount"), String(rows + 1));

  const jumps = await longest(page, () =>
    box.evaluate(async (el) => {
      for (let i = 0; i <= 40; i++) {
        el.scrollTop = (el.scrollHeight * ((i * 17) % 41)) / 40;
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
      }
    }),
  );
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime);
  t.diagnostic(`${rows} rows at ${baseUrl}: the longest task took ${took.toFixed(1)} ms of processor time while they came, ${jumps.toFixed(1)} ms while they were scrolled; first paint after ${paint.toFixed(0)} ms`);
  assert.ok(took < 50 && jumps < 50, `a task took ${Math.max(took, jumps)} ms of processor time`);
});

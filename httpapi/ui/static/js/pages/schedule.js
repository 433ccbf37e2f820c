// One schedule: its next times, what it publishes, and what can be done with it.
import { html } from "../lib.js";
import { send } from "../core/api.js";
import { ago, clock, day } from "../core/format.js";
import { bodyOf, labelsOf } from "../core/message.js";
import { usePolled } from "../core/poll.js";
import { go, linkTo } from "../core/router.js";
import { useConfirm } from "../parts/ask.js";
import { Body, Headers } from "../parts/body.js";
import { Facts } from "../parts/facts.js";
import { RunStates, Ticks } from "../parts/runs.js";
import { Failure, Loading } from "../parts/state.js";

const every = 5000; // ms
const ticksShown = 12;

export default function Schedule({ id }) {
  const path = `/v2/schedules/${encodeURIComponent(id)}`;
  const { data, error, reload } = usePolled(async (signal) => {
    const [schedule, { next }] = await Promise.all([send({ path }, signal), send({ path: `${path}/next`, query: { n: ticksShown } }, signal)]);
    return { schedule, next };
  }, every, [id]);
  return html`<div class="page-head"><h1 class="break">${id}</h1>
      ${data?.schedule.isPaused && html`<span class="badge warn">paused</span>`}
      ${data && html`<${Actions} id=${id} path=${path} paused=${data.schedule.isPaused} reload=${reload} />`}</div>
    ${error && html`<${Failure} error=${error} retry=${reload} />`}
    ${!data && !error && html`<${Loading} />`}
    ${data && html`<div class="halves">
      <div class="stack"><${When} schedule=${data.schedule} next=${data.next} /></div>
      <div class="stack"><${What} schedule=${data.schedule} /></div>
    </div>`}`;
}

function Actions({ id, path, paused, reload }) {
  const [dialog, ask] = useConfirm(reload);
  const pause = paused
    ? { title: "Let the schedule go on?", text: "It publishes again from its next time on.", label: "Resume", request: { method: "POST", path: `${path}/resume` }, done: "It goes on." }
    : { title: "Pause the schedule?", text: "It publishes nothing until it is resumed; what it has published is delivered.", label: "Pause", request: { method: "POST", path: `${path}/pause` }, done: "Paused." };
  const run = {
    title: "Run the schedule now?", text: "Its message is published once, at once. Its times stay as they are.", label: "Run now",
    request: { method: "POST", path: `${path}/run` }, done: "Published.", then: (answer) => go(["messages", [answer].flat()[0].messageId]),
  };
  const remove = {
    title: "Delete the schedule?", text: `${id} publishes no more. What it has published is delivered.`, label: "Delete", danger: true,
    request: { method: "DELETE", path }, done: "Deleted.", then: () => go(["schedules"]),
  };
  return html`<div class="actions">
    <button type="button" class="button first" onClick=${() => ask(run)}>Run now</button>
    <button type="button" class="button" onClick=${() => ask(pause)}>${pause.label}</button>
    <button type="button" class="button danger" onClick=${() => ask(remove)}>Delete</button>
    ${dialog}
  </div>`;
}

function When({ schedule: s, next }) {
  return html`<section class="panel"><header><h2>Times</h2></header><div class="inner stack">
    <${Facts} list=${[
      ["Cron", html`<code>${s.cron}</code>`],
      ["Next", !s.isPaused && s.nextScheduleTime && `${day(s.nextScheduleTime)} ${clock(s.nextScheduleTime)}, ${ago(s.nextScheduleTime)}`],
      ["Last", s.lastScheduleTime && `${day(s.lastScheduleTime)} ${clock(s.lastScheduleTime)}`],
      ["Last messages", html`<${RunStates} states=${s.lastScheduleStates} />`],
      ["Wrong", s.error],
      ["When the clock changes", s.tidemill?.dst],
      ["Missed times", s.tidemill?.missed],
      ["Jitter", s.tidemill?.jitter],
    ]} />
    <div><h3>Next times</h3><${Ticks} list=${next} /></div>
    <a href=${linkTo(["messages"], { scheduleId: s.scheduleId })}>Every message of this schedule</a>
  </div></section>`;
}

function What({ schedule: s }) {
  return html`<section class="panel"><header><h2>What it publishes</h2></header><div class="inner stack">
    <${Facts} list=${[
      ["Destination", s.destination],
      ["Method", s.method],
      ["Queue", s.queueName],
      ["Labels", labelsOf(s).join(", ")],
      ["Retries", s.retries],
      ["Retry delay", s.retryDelayExpression],
      ["Delay", s.delay && `${s.delay} s`],
      ["Timeout", s.timeout && `${s.timeout} s`],
      ["Flow control", s.flowControlKey],
      ["Callback", s.callback],
      ["Failure callback", s.failureCallback],
      ["Created", `${day(s.createdAt)} ${clock(s.createdAt)}`],
    ]} />
    <${Headers} headers=${s.header} />
    <${Body} bytes=${bodyOf(s)} />
  </div></section>`;
}

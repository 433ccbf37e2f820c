// Making a schedule. While the expression is written, its next times are shown.
import { html, useEffect, useState } from "../lib.js";
import { isAbort, send } from "../core/api.js";
import { Area, Check, Choice, Input } from "../parts/field.js";
import { Curl } from "../parts/curl.js";
import { Ticks } from "../parts/runs.js";
import { Failure } from "../parts/state.js";
import { toast } from "../parts/toast.js";

const previewAfter = 300; // ms without a key

const blank = {
  destination: "", cron: "", zone: "", seconds: false, dst: "fire-once", missed: "latest", jitter: "",
  id: "", body: "", contentType: "application/json", retries: "", queue: "", delay: "",
};

const cronOf = (form) => (form.zone.trim() && !/^(CRON_)?TZ=/.test(form.cron) ? `CRON_TZ=${form.zone.trim()} ${form.cron.trim()}` : form.cron.trim());

export function requestOf(form) {
  const headers = {
    "Content-Type": form.contentType,
    "Upstash-Cron": cronOf(form),
    "Upstash-Schedule-Id": form.id.trim(),
    "Upstash-Retries": form.retries.trim(),
    "Upstash-Delay": form.delay.trim(),
    "Upstash-Queue-Name": form.queue.trim(),
    "Tidemill-Cron-Seconds": form.seconds ? "true" : "",
    "Tidemill-Dst": form.dst === "fire-once" ? "" : form.dst,
    "Tidemill-Missed": form.missed === "latest" ? "" : form.missed,
    "Tidemill-Jitter": form.jitter.trim(),
  };
  return {
    method: "POST",
    path: `/v2/schedules/${form.destination.trim()}`,
    headers: Object.fromEntries(Object.entries(headers).filter(([, v]) => v)),
    body: form.body,
  };
}

export function ScheduleForm({ onDone }) {
  const [form, setForm] = useState(blank);
  const [error, setError] = useState();
  const [busy, setBusy] = useState(false);
  const bind = (name) => ({ value: form[name], onValue: (v) => setForm((f) => ({ ...f, [name]: v })) });
  const request = requestOf(form);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      const answer = await send(request);
      toast("The schedule was created.");
      onDone(answer);
    } catch (failed) {
      setBusy(false);
      if (!isAbort(failed)) setError(failed);
    }
  };
  return html`<form class="panel" aria-label="Create a schedule" onSubmit=${submit}><div class="inner stack">
    <div class="fields">
      <${Input} label="Destination" hint="A URL, or the name of a URL group" required ...${bind("destination")} />
      <${Input} label="Cron" hint="Minute, hour, day, month, weekday: 30 9 * * 1-5" required ...${bind("cron")} />
      <${Input} label="Time zone" hint="Such as Europe/Berlin; UTC by default" ...${bind("zone")} />
      <${Input} label="Schedule id" hint="One is made if it is empty" ...${bind("id")} />
      <${Choice} label="When the clock changes" options=${[["fire-once", "fire once"], ["skip", "skip what is skipped"], ["both", "fire twice what comes twice"]]} ...${bind("dst")} />
      <${Choice} label="Times that were missed" options=${[["latest", "publish the latest"], ["skip", "leave out"], ["all", "publish all"]]} ...${bind("missed")} />
      <${Input} label="Jitter" hint="Up to 24h, the same each time" ...${bind("jitter")} />
      <${Input} label="Queue" ...${bind("queue")} />
      <${Input} label="Retries" inputmode="numeric" ...${bind("retries")} />
      <${Input} label="Delay" hint="From the time to the delivery" ...${bind("delay")} />
      <${Choice} label="Content type" options=${["application/json", "text/plain", "application/x-www-form-urlencoded"]} ...${bind("contentType")} />
    </div>
    <${Check} label="Six fields: the first one is for seconds" ...${bind("seconds")} />
    <${Area} label="Body" ...${bind("body")} />
    <${Preview} cron=${cronOf(form)} seconds=${form.seconds} dst=${form.dst} />
    ${error && html`<${Failure} error=${error} />`}
    <${Curl} request=${request} />
    <div class="actions"><button class="button first" disabled=${busy || !form.destination.trim() || !form.cron.trim()}>Create</button></div>
  </div></form>`;
}

// plausible keeps questions from the server that it would refuse: an expression that is half written.
const plausible = (cron, seconds) => cron.replace(/^(CRON_)?TZ=\S+\s+/, "").trim().split(/\s+/).length >= (seconds ? 6 : 5);

function Preview({ cron, seconds, dst }) {
  const [state, setState] = useState({});
  useEffect(() => {
    if (!plausible(cron, seconds)) {
      setState({});
      return undefined;
    }
    const control = new AbortController();
    const query = { cron, n: 8, dst, seconds: seconds ? "true" : undefined };
    const timer = setTimeout(() => {
      send({ path: "/v2/schedules/next", query }, control.signal).then(
        ({ next }) => setState({ next }),
        (error) => !isAbort(error) && setState({ error }),
      );
    }, previewAfter);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [cron, seconds, dst]);
  return html`<div role="status" aria-label="Next times">
    ${state.error && html`<p class="notice warn"><span class="break">${state.error.message}</span></p>`}
    ${state.next && html`<h2>Next times</h2><${Ticks} list=${state.next} />`}
    ${!state.next && !state.error && html`<p class="soft">The next times are shown here when the expression is whole.</p>`}
  </div>`;
}

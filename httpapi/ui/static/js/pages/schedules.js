// Schedules: when each publishes next and what became of its last messages; and making one. The
// first segment behind it is a schedule's id, whose page is schedule.js.
import { html, useState } from "../lib.js";
import { send } from "../core/api.js";
import { ago, stamp } from "../core/format.js";
import { usePolled } from "../core/poll.js";
import { go, linkTo } from "../core/router.js";
import { List } from "../parts/list.js";
import { RunStates } from "../parts/runs.js";
import Schedule from "./schedule.js";
import { ScheduleForm } from "./schedule_form.js";

const every = 5000; // ms

export default function Schedules({ path }) {
  return path[0] ? html`<${Schedule} id=${path[0]} key=${path[0]} />` : html`<${All} />`;
}

const columns = [
  { title: "Schedule", width: "210px", grow: true, cell: (s) => html`<a href=${linkTo(["schedules", s.scheduleId])} title=${s.scheduleId}>${s.scheduleId}</a>` },
  { title: "Cron", width: "210px", wide: true, cell: (s) => html`<code title=${s.cron}>${s.cron}</code>` },
  { title: "Destination", wide: true, cell: (s) => html`<span title=${s.destination}>${s.destination}</span>` },
  { title: "Next", width: "180px", cell: (s) => next(s) },
  { title: "Last", width: "170px", wide: true, cell: (s) => html`<${RunStates} states=${s.lastScheduleStates} />` },
];

function next(s) {
  if (s.isPaused) return html`<span class="badge warn">paused</span>`;
  if (s.error) return html`<span class="badge bad" title=${s.error}>failing</span>`;
  return s.nextScheduleTime ? html`<span title=${stamp(s.nextScheduleTime)}>${ago(s.nextScheduleTime)}</span>` : "never";
}

function All() {
  const [making, setMaking] = useState(false);
  const list = usePolled((signal) => send({ path: "/v2/schedules" }, signal), every, []);
  const made = ({ scheduleId }) => go(["schedules", scheduleId]);
  return html`<div class="page-head"><h1>Schedules</h1>
      <button type="button" class="button first" aria-expanded=${String(making)} onClick=${() => setMaking(!making)}>${making ? "Close the form" : "Create a schedule"}</button></div>
    ${making && html`<${ScheduleForm} onDone=${made} />`}
    <${List} from=${list} label="Schedules" columns=${columns} keyOf=${(s) => s.scheduleId} onOpen=${(s) => go(["schedules", s.scheduleId])}
      empty=${{ title: "No schedule yet", text: "A schedule publishes a message again and again, at the times of a cron expression." }} />`;
}

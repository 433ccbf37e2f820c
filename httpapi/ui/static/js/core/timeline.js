// A message's life as a list of steps, made of its events in the order of time. What several
// events say of one attempt is one step.
import { span } from "./format.js";

// A step is { kind, time, tone, title, text, event }: kind is "created", "attempt", "wait" or "end".
export function stepsOf(events) {
  const steps = [];
  for (const event of events) {
    const attempt = event.tidemill?.attempt;
    const open = steps.findLast((s) => s.kind === "attempt" && s.attempt === attempt);
    const make = makers[event.state];
    if (make) make(steps, event, attempt, open);
  }
  return steps;
}

const makers = {
  CREATED(steps, event) {
    steps.push({ kind: "created", time: event.time, tone: "", title: "Created", event });
    const why = waitOf(event);
    if (why) steps.push({ kind: "wait", time: event.time, tone: "", ...why });
  },
  ACTIVE(steps, event, attempt, open) {
    if (!open) steps.push({ kind: "attempt", attempt, time: event.time, tone: "busy", title: `Attempt ${attempt}`, event });
  },
  ERROR: ended("warn"),
  DELIVERED: ended("good"),
  FAILED(steps, event, attempt, open) {
    if (attempt) ended("bad")(steps, event, attempt, open);
    steps.push({ kind: "end", time: event.time, tone: "bad", title: "Given up", text: "It went to the dead letter queue.", event });
  },
  RETRY(steps, event) {
    const text = event.nextDeliveryTime ? `${span(event.nextDeliveryTime - event.time)} after the attempt.` : "";
    steps.push({ kind: "wait", time: event.time, tone: "warn", title: "Waiting for the next attempt", text, until: event.nextDeliveryTime });
  },
  CANCEL_REQUESTED(steps, event) {
    steps.push({ kind: "wait", time: event.time, tone: "warn", title: "Cancel requested", text: "An attempt that is under way ends first." });
  },
  CANCELED(steps, event) {
    steps.push({ kind: "end", time: event.time, tone: "", title: "Canceled", text: event.error });
  },
};

// ended makes the step of an attempt that has an outcome, of what was there when it began.
function ended(tone) {
  return (steps, event, attempt, open) => {
    if (!open) {
      open = { kind: "attempt", attempt, time: event.time, title: attempt ? `Attempt ${attempt}` : "Not attempted" };
      steps.push(open);
    }
    open.event = event;
    open.tone = tone;
    open.text = event.error || open.text;
  };
}

// waitOf says why a message is not attempted at once, as far as its own event tells.
function waitOf(event) {
  if (event.nextDeliveryTime > event.time) {
    return { title: "Waiting for its time", text: `${span(event.nextDeliveryTime - event.time)} after it was published.`, until: event.nextDeliveryTime };
  }
  if (event.queueName) return { title: `In line in the queue ${event.queueName}`, text: "It is attempted when those before it are done." };
  if (event.flowControlKey) return { title: `Under the flow-control key ${event.flowControlKey}`, text: "It is attempted when the limits of the key allow." };
  return undefined;
}

// partsOf splits the time of an attempt into what took it, in ms: what came before it as well.
export function partsOf(t) {
  const network = t.dns + t.connect + t.tls;
  return [
    ["queue or permit", t.queue - t.flowControl],
    ["flow control", t.flowControl],
    ["name", t.dns],
    ["connect", t.connect],
    ["TLS", t.tls],
    ["first byte", t.firstByte - network],
    ["rest of the answer", t.total - t.firstByte],
  ].map(([name, micros]) => ({ name, ms: Math.max(0, micros) / 1000 }));
}

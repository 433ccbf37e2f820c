// How numbers, times and sizes are written, everywhere alike.

const whole = new Intl.NumberFormat("en-US");
const short = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });

export const count = (n) => whole.format(n);

// rate is per second; below ten it has decimals.
export const rate = (n) => (n >= 10 || n === 0 ? whole.format(Math.round(n)) : short.format(n));

const two = (n) => String(n).padStart(2, "0");

// clock is the local time of a moment in ms, to the millisecond.
export function clock(ms) {
  const t = new Date(ms);
  return `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}.${String(t.getMilliseconds()).padStart(3, "0")}`;
}

export function day(ms) {
  const t = new Date(ms);
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}`;
}

// stamp is a moment in few characters: with its day unless that is today, with its year unless
// that is this one.
export function stamp(ms, now = Date.now()) {
  if (day(ms) === day(now)) return clock(ms);
  const date = day(ms).slice(0, 4) === day(now).slice(0, 4) ? day(ms).slice(5) : day(ms);
  return `${date} ${clock(ms).slice(0, 8)}`;
}

// span is a duration of ms milliseconds, in the two largest units that matter.
export function span(ms) {
  const n = Math.abs(ms);
  if (n < 1) return `${Math.round(n * 1000)} µs`;
  if (n < 1000) return `${short.format(n)} ms`;
  if (n < 60_000) return `${short.format(n / 1000)} s`;
  const units = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1000]];
  const at = units.findIndex(([, size]) => n >= size);
  const [name, size] = units[at];
  const [nextName, nextSize] = units[at + 1];
  const rest = Math.floor((n % size) / nextSize);
  return `${Math.floor(n / size)}${name}${rest ? ` ${rest}${nextName}` : ""}`;
}

export const ago = (ms, now = Date.now()) => (ms > now ? `in ${span(ms - now)}` : `${span(now - ms)} ago`);

export function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let at = 0;
  while (bytes >= 1024 && at < units.length - 1) {
    bytes /= 1024;
    at++;
  }
  return `${short.format(bytes)} ${units[at]}`;
}

// localInput and fromLocalInput are the text of a datetime-local field, and back to ms.
export function localInput(ms) {
  if (!ms) return "";
  const t = new Date(Number(ms));
  return `${day(t)}T${two(t.getHours())}:${two(t.getMinutes())}`;
}

export const fromLocalInput = (text) => (text ? String(new Date(text).getTime()) : "");

// Package cron turns cron text into tick times (DESIGN.md T4). It knows nothing
// of schedules, records or HTTP.
//
// # The text
//
// Five fields: minute, hour, day of month, month, day of week. With
// Options.Seconds there are six, the first being the second, or seven, the last
// being the year (1970 to 2099). In front there may be a time zone:
//
//	CRON_TZ=Europe/Berlin 30 2 * * mon-fri
//
// TZ= means the same; without either the zone is UTC. A field is a list of
// items separated by commas:
//
//   - every value                       5       one value
//     5-20       a range, its ends included        */15    every 15th, from the lowest value on
//     5-20/5     every 5th of a range              5/15    every 15th, from 5 on
//     jan, MON   names of months and weekdays      7       Sunday, as 0 is
//     ?          every day, in the two day fields  L, LW   the month's last day, its last working day
//     15W        the working day next to the 15th  5L, 5#2 the month's last Friday, its second
//
// If both day fields are restricted (neither has an item *) a day matches when
// either does, as in every cron since Vixie's. @yearly, @annually, @monthly, @weekly,
// @daily, @midnight and @hourly stand for their five fields. A range that runs
// backwards (22-2) is refused: libraries disagree about its meaning.
//
// No tick lies before 1970 or after 2099.
//
// # Daylight saving
//
// Where the local clock jumps forward there are wall times that do not exist
// (the gap); where it is set back, wall times that come twice. All such jumps
// are treated alike, whether they are daylight saving, a new standard offset or
// a day left out at the date line. What an expression does about them depends on
// its hour field alone:
//
//   - The hour field follows real time if it has an item * or a step (*/2, 8/4,
//     8-18/2), or if it names all 24 hours. Such an expression ticks whenever the
//     local clock shows a matching time: in both of two repeated hours, and not in
//     a gap. "0 * * * *" ticks every hour, whatever the clock is called.
//   - Any other hour field (2, 9-17, 6,18) names fixed times: each wall time of a
//     day is meant to happen once. A step of 1 is no step: 9-17/1 is 9-17.
//
// The minute and second fields play no part in this, so that "*/15 2 * * *" is
// four fixed times. (Vixie's cron also calls a job "wildcard" for a * in its
// minute field. Then "* 2 * * *" would be lost on the day of the gap, which is
// what the rule is there to prevent.)
//
// A fixed time fires at the first moment at which the local clock shows that
// time or a later one. That one sentence is the default rule, FireOnce:
//
//   - A fixed time in the gap fires at the first moment after it. In New York
//     "30 2 * * *" fires on 8 March 2026 at 03:00 EDT, since the clock goes from
//     01:59:59 to 03:00:00. Of several fixed times in one gap there is one tick:
//     "0,30 2 * * *" fires once at 03:00, and so does "30 2,3 * * *", followed by
//     its own 03:30. If the first moment after the gap matches itself ("0 2,3 * * *")
//     it is that same tick. On Lord Howe, whose gap is 02:00 to 02:30, "*/15 2 * * *"
//     fires at 02:30 and 02:45.
//   - A fixed time that comes twice fires the first time only. "30 1 * * *" fires on
//     1 November 2026 at 01:30 EDT, and "*/15 1 * * *" four times in the first hour.
//   - Apia had no 30 December 2011. "0 9 * * *" fires at the first moment of the
//     31st for the day that is missing, and again at 09:00 of the 31st.
//
// The other rules are for those who need them:
//
//   - Skip: as FireOnce, without the ticks for times the clock did not show.
//   - Both: fixed times fire each time the clock shows them, and a gap with fixed
//     times in it still gets its one tick at the end.
//
// Expressions that follow real time are the same under all three.
//
// # How it works
//
// Fields are evaluated by github.com/gorhill/cronexpr, which is right on a clock
// that never jumps and on clean input only: at a gap it returns times not after
// its argument, in a repeated hour it loses ticks, and reversed ranges make it
// panic. So it sees canonical text that this package has checked, and wall-clock
// times labelled UTC. Wall clock and instants are mapped onto each other here, one
// stretch of constant offset at a time.
package cron

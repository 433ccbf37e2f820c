package cron

import (
	"strings"
	"testing"
	"time"
)

// refused are texts that must not get in, each with what the error has to say:
// the field and its value (RELIABILITY.md (d), P30).
var refused = []struct {
	text    string
	seconds bool
	want    []string
}{
	{"", false, []string{"empty", "five: minute, hour"}},
	{" \t ", false, []string{"empty"}},
	{"* * * *", false, []string{"4 fields", "five"}},
	{"0 * * * * *", false, []string{"6 fields", "five"}},
	{"* * * * *", true, []string{"5 fields", "six or seven: second"}},
	{"0 * * * * * * *", true, []string{"8 fields"}},
	{strings.Repeat("* * * * * ", 1_000_000), false, []string{"9999999 bytes", "at most 256"}},
	{strings.Repeat(",", 10_000) + " * * * *", false, []string{"10008 bytes"}},
	{strings.Repeat(",", 200) + " * * * *", false, []string{"minute", ",,,", "empty item"}},
	{"60 * * * *", false, []string{"minute", `"60"`, "0 to 59"}},
	{"60 * * * * *", true, []string{"second", `"60"`, "0 to 59"}},
	{"0-60 * * * *", false, []string{"minute", `"60" in "0-60"`, "0 to 59"}},
	{"0 24 * * *", false, []string{"hour", `"24"`, "0 to 23"}},
	{"0 60 * * *", false, []string{"hour", `"60"`}},
	{"0 0 0 * *", false, []string{"day of month", `"0"`, "1 to 31"}},
	{"0 0 32 * *", false, []string{"day of month", `"32"`}},
	{"0 0 60 * *", false, []string{"day of month", `"60"`}},
	{"0 0 1 0 *", false, []string{"month", `"0"`, "1 to 12 or jan to dec"}},
	{"0 0 1 13 *", false, []string{"month", `"13"`}},
	{"0 0 1 60 *", false, []string{"month", `"60"`}},
	{"0 0 * * 8", false, []string{"day of week", `"8"`, "0 to 7"}},
	{"0 0 * * 60", false, []string{"day of week", `"60"`}},
	{"0 0 0 1 1 * 60", true, []string{"year", `"60"`, "1970 to 2099"}},
	{"0 0 0 1 1 * 2100", true, []string{"year", `"2100"`}},
	{"0 22-2 * * *", false, []string{"hour", `"22-2"`, "backwards", "22-23,0-2"}},
	{"0 0 * mar-jan *", false, []string{"month", `"mar-jan"`, "mar-12,1-jan"}},
	{"0 0 * * fri-sun", false, []string{"day of week", `"fri-sun"`, "5-7"}},
	{"0 0 * * 6-0", false, []string{"day of week", `"6-0"`, "6-7"}},
	{"5-1/2 * * * *", false, []string{"minute", `"5-1/2"`, "backwards"}},
	{"*/0 * * * *", false, []string{"minute", `"*/0"`, "1 to 59"}},
	{"*/60 * * * *", false, []string{"minute", `"*/60"`, "1 to 59"}},
	{"*/ * * * *", false, []string{"minute", `"*/"`, "step"}},
	{"*/-1 * * * *", false, []string{"minute", `"*/-1"`}},
	{"*/5/5 * * * *", false, []string{"minute", `"*/5/5"`}},
	{"0 */24 * * *", false, []string{"hour", `"*/24"`, "1 to 23"}},
	{"/5 * * * *", false, []string{"minute", `"/5"`}},
	{"1, * * * *", false, []string{"minute", `"1,"`, "empty item"}},
	{"-1 * * * *", false, []string{"minute", `"-1"`}},
	{"1- * * * *", false, []string{"minute", `"1-"`}},
	{"1-2-3 * * * *", false, []string{"minute", `"1-2-3"`}},
	{"+1 * * * *", false, []string{"minute", `"+1"`}},
	{"007 * * * *", false, []string{"minute", `"007"`}},
	{"1.5 * * * *", false, []string{"minute", `"1.5"`}},
	{"٣ * * * *", false, []string{"minute", `"٣"`}},
	{"? * * * *", false, []string{"minute", `"?"`}},
	{"0 0 ?,1 * *", false, []string{"day of month", `"?"`}},
	{"0 0 ?/2 * *", false, []string{"day of month", `"?"`}},
	{"**  * * * *", false, []string{"minute", `"**"`}},
	{"1\n2 * * * *", false, []string{"minute", `"1\n2"`}},
	{"0\x00 * * * *", false, []string{"minute", `"0\x00"`}},
	{"mon * * * *", false, []string{"minute", `"mon"`}},
	{"0 0 * january *", false, []string{"month", `"january"`, "jan to dec"}},
	{"0 0 * * monday", false, []string{"day of week", `"monday"`, "sun to sat"}},
	{"0 0 * * jan", false, []string{"day of week", `"jan"`}},
	{"0 0 L-3 * *", false, []string{"day of month", `"L-3"`}},
	{"0 0 W * *", false, []string{"day of month", `"W"`}},
	{"0 0 32W * *", false, []string{"day of month", `"32" in "32W"`}},
	{"0 0 1-5W * *", false, []string{"day of month", `"1-5W"`}},
	{"0 L * * *", false, []string{"hour", `"L"`}},
	{"0 0 * * L", false, []string{"day of week", `"L"`, "5L"}},
	{"0 0 * * 5#0", false, []string{"day of week", `"5#0"`, "1 to 5"}},
	{"0 0 * * 5#6", false, []string{"day of week", `"5#6"`}},
	{"0 0 * * 5#", false, []string{"day of week", `"5#"`}},
	{"0 0 * * 8#1", false, []string{"day of week", `"8" in "8#1"`}},
	{"0 0 * * 1-5#2", false, []string{"day of week", `"1-5#2"`}},
	{"@reboot", false, []string{`"@reboot"`, "not supported", "@daily"}},
	{"@every 5m", false, []string{`"@every 5m"`, "not supported", "0 9 * * *"}},
	{"@daily *", false, []string{`"@daily *"`}},
	{"@", false, []string{`"@"`}},
	{"0 0 31 2 *", false, []string{"never fires", "day of month, month"}},
	{"0 0 30 feb *", false, []string{"never fires"}},
	{"0 0 31 4,6,9,11 *", false, []string{"never fires"}},
	{"0 0 0 29 2 * 2026", true, []string{"never fires", "day of week and year"}},
	{"0 0 31W 4 *", false, []string{"never fires"}},
	{"CRON_TZ=Mars/X * * * * *", false, []string{`time zone "Mars/X"`, "not known", "Europe/Berlin"}},
	{"CRON_TZ=../../etc/passwd * * * * *", false, []string{`time zone "../../etc/passwd"`, "plain name"}},
	{"TZ=/etc/localtime * * * * *", false, []string{`time zone "/etc/localtime"`}},
	{"TZ=/usr/share/zoneinfo/UTC * * * * *", false, []string{"plain name"}},
	{`TZ=Europe\Berlin * * * * *`, false, []string{"plain name"}},
	{"TZ=Europe/./Berlin * * * * *", false, []string{"plain name"}},
	{"TZ=Europe//Berlin * * * * *", false, []string{"plain name"}},
	{"TZ=Europe/Berlin/ * * * * *", false, []string{"plain name"}},
	{"TZ=Europe/Berl\u00efn * * * * *", false, []string{"plain name"}},
	{"TZ=Local * * * * *", false, []string{`time zone "Local"`}},
	{"TZ=localtime * * * * *", false, []string{`time zone "localtime"`}},
	{"TZ=right/Europe/Berlin * * * * *", false, []string{"plain name"}},
	{"TZ=posixrules * * * * *", false, []string{"plain name"}},
	{"TZ= * * * * *", false, []string{`time zone ""`}},
	{"CRON_TZ=", false, []string{`time zone ""`}},
	{"TZ=" + strings.Repeat("a", 65) + " * * * * *", false, []string{"plain name"}},
	{"TZ=zone.tab * * * * *", false, []string{"plain name"}},
	{"TZ=leapseconds * * * * *", false, []string{"not known"}},
	{"TZ=Europe * * * * *", false, []string{"not known"}},
	{"CRON_TZ=Europe/Berlin", false, []string{"empty"}},
	{"TZ=UTC TZ=UTC * * * * *", false, []string{"6 fields"}},
	{"CRON_TZ=America/New_York @every 1h", false, []string{`"@every 1h"`}},
}

func TestRefused(t *testing.T) {
	for _, c := range refused {
		_, err := Parse(c.text, Options{Seconds: c.seconds})
		if err == nil {
			t.Errorf("%.60q is accepted", c.text)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%.60q: the error is %q; it lacks %q", c.text, err, want)
			}
		}
		if len(err.Error()) > 700 {
			t.Errorf("%.60q: the error has %d bytes", c.text, len(err.Error()))
		}
	}
	if _, err := Parse("* * * * *", Options{DST: 3}); err == nil {
		t.Error("the rule 3 is accepted")
	}
	// Only a rule can make a text that never fires of one that does.
	const onlyGap = "CRON_TZ=America/New_York 0 30 2 8 3 * 2026"
	if _, err := Parse(onlyGap, Options{Seconds: true, DST: Skip}); err == nil || !strings.Contains(err.Error(), "the clock skips") {
		t.Errorf("%s with skip: %v", onlyGap, err)
	}
	must(t, onlyGap, FireOnce)
}

// TestSameMeaning pairs what must be accepted with a plainer text that means the
// same. cronexpr by itself gets half of these wrong.
func TestSameMeaning(t *testing.T) {
	for _, c := range [][2]string{
		{"@yearly", "0 0 1 1 *"},
		{"@ANNUALLY", "0 0 1 1 *"},
		{"@monthly", "0 0 1 * *"},
		{"@weekly", "0 0 * * 0"},
		{"@daily", "0 0 * * *"},
		{"@midnight", "0 0 * * *"},
		{"@hourly", "0 * * * *"},
		{"CRON_TZ=America/New_York @hourly", "TZ=America/New_York\t0 * *  * *"},
		{" \t*/15 * * * * \r\n", "0,15,30,45 * * * *"},
		{"05 09 01 01 00", "5 9 1 1 0"},
		{"0 0 * 01-03 *", "0 0 * jan-mar *"},
		{"0 0 * JAN,fEb sUn", "0 0 * 1,2 7"},
		{"0 0 * * 7", "0 0 * * 0"},
		{"0 0 * * fri-7", "0 0 * * 0,5,6"},
		{"0 0 * * 5-7/2", "0 0 * * fri,sun"},
		{"0 0 * * 0-7", "0 0 * * sun-sat"},
		{"0 0 * * 7/2", "0 0 * * sun"},
		{"0 0 * * */2", "0 0 * * 0,2,4,6"},
		{"0 0 * * 7L", "0 0 * * sunl"},
		{"0 0 * * 7#5", "0 0 * * SUN#5"},
		{"0 0 lw * ?", "0 0 LW * *"},
		{"0 0 ? * ?", "0 0 * * *"},
		{"0 0 */1 * 1", "0 0 * * 1"},
		{"0 0 1,* * 1", "0 0 * * 1"},
		{"5,* * * * *", "* * * * *"},
		{"50/5 * * * *", "50,55 * * * *"},
		{"10-10/30 * * * *", "10 * * * *"},
		{"10-20/50 * * * *", "10 * * * *"},
		{"0 0 0 1 1 *", "0 0 0 1 1 * *"},
		{"0 0 0 1 1 * 2030-2040/5", "0 0 0 1 1 * 2030,2035,2040"},
	} {
		a, b := must(t, c[0], FireOnce), must(t, c[1], FireOnce)
		after := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
		for range 200 {
			n, ok := a.Next(after)
			if m, ok2 := b.Next(after); m != n || ok != ok2 {
				t.Errorf("after %s %q ticks at %s, %q at %s", show(a, after), c[0], show(a, n), c[1], show(b, m))
				break
			}
			if !ok {
				break
			}
			after = n
		}
		if a.follows != b.follows {
			t.Errorf("%q follows real time: %v, %q: %v", c[0], a.follows, c[1], b.follows)
		}
	}
}

// TestFollows pins which hour fields follow real time and which name fixed times.
func TestFollows(t *testing.T) {
	for hour, want := range map[string]bool{
		"*": true, "*/2": true, "*/1": true, "8/4": true, "8-18/2": true, "3,*/6": true, "0-23": true, "0-11,12-23": true, "5,*": true,
		"2": false, "9-17": false, "6,18": false, "9-17/1": false, "9/1": false, "0-22": false,
	} {
		if x := must(t, "*/5 "+hour+" * * *", FireOnce); x.follows != want {
			t.Errorf("the hour field %s follows real time: %v, want %v", hour, x.follows, want)
		}
	}
}

func TestString(t *testing.T) {
	x := must(t, " CRON_TZ=Europe/Berlin  0 9 * *  mon \n", FireOnce)
	if want := "CRON_TZ=Europe/Berlin  0 9 * *  mon"; x.String() != want || x.Location().String() != "Europe/Berlin" {
		t.Errorf("got %q in %s, want %q", x, x.Location(), want)
	}
	if x := must(t, "0 9 * * *", FireOnce); x.Location() != time.UTC {
		t.Errorf("without a zone it is in %s", x.Location())
	}
	if a, b := must(t, "TZ=Asia/Tokyo * * * * *", Both), must(t, "TZ=Asia/Tokyo 1 * * * *", Skip); a.loc != b.loc {
		t.Error("two expressions do not share their zone")
	}
	for _, d := range []DST{FireOnce, Skip, Both} {
		if got, ok := ParseDST(d.String()); got != d || !ok {
			t.Errorf("ParseDST(%q) is %v, %v", d, got, ok)
		}
	}
	if _, ok := ParseDST("Skip"); ok {
		t.Error("ParseDST takes a name it does not print")
	}
}

package delay

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

func mustParse(t testing.TB, src string) *Expr {
	t.Helper()
	e, err := Parse(src)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return e
}

func TestDelay(t *testing.T) {
	const ms = time.Millisecond
	cases := []struct {
		src  string
		want []time.Duration // for retried = 0, 1, 2, ...
	}{
		// The examples of QSTASH.md §3.5.
		{"1000", []time.Duration{1000 * ms, 1000 * ms}},
		{"1000 * (1 + retried)", []time.Duration{1000 * ms, 2000 * ms, 3000 * ms}},
		{"pow(2, retried) * 1000", []time.Duration{1000 * ms, 2000 * ms, 4000 * ms, 8000 * ms}},
		{"max(1000, pow(2, retried) * 100)", []time.Duration{1000 * ms, 1000 * ms, 1000 * ms, 1000 * ms, 1600 * ms}},
		{"pow(retried, 2) * 1000", []time.Duration{0, 1000 * ms, 4000 * ms}},
		{"7000 * retried", []time.Duration{0, 7000 * ms, 14000 * ms}},
		{"min(pow(3, retried) * 1000, 300000)", []time.Duration{1000 * ms, 3000 * ms, 9000 * ms, 27000 * ms, 81000 * ms, 243000 * ms, 300000 * ms}},
		// Precedence, association, signs, spaces.
		{"1 + 2 * 3", []time.Duration{7 * ms}},
		{"(1+2)*3", []time.Duration{9 * ms}},
		{"100 - 10 - 1", []time.Duration{89 * ms}},
		{"100 / 10 / 2", []time.Duration{5 * ms}},
		{"-2 * -3", []time.Duration{6 * ms}},
		{"10 - -5", []time.Duration{15 * ms}},
		{"--5", []time.Duration{5 * ms}},
		{"-(2 + 3) + 6", []time.Duration{1 * ms}},
		{" \t1000 ", []time.Duration{1000 * ms}},
		// Functions and numbers.
		{"sqrt(16)", []time.Duration{4 * ms}},
		{"abs(retried - 2)", []time.Duration{2 * ms, 1 * ms, 0, 1 * ms}},
		{"floor(2.9) + ceil(2.1) + round(2.5)", []time.Duration{8 * ms}},
		{"floor(exp(1) * 1e3)", []time.Duration{2718 * ms}},
		{"min(5, 4, 3, retried)", []time.Duration{0, 1 * ms, 2 * ms, 3 * ms, 3 * ms}},
		{"max(1, 2, min(9, 7))", []time.Duration{7 * ms}},
		{".5", []time.Duration{500 * time.Microsecond}},
		{"5.", []time.Duration{5 * ms}},
		{"1.5E+2", []time.Duration{150 * ms}},
		{"15e-1", []time.Duration{1500 * time.Microsecond}},
		// What is no wait, and the longest.
		{"1/0", []time.Duration{0}},
		{"0/0", []time.Duration{0}},
		{"-1/0", []time.Duration{0}},
		{"sqrt(-1)", []time.Duration{0}},
		{"min(0/0, 5)", []time.Duration{0}},
		{"-5", []time.Duration{0}},
		{"pow(10, 1e9)", []time.Duration{0}},
		{"86400000", []time.Duration{Max}},
		{"86399999", []time.Duration{Max - ms}},
		{"86400001", []time.Duration{Max}},
		{"1e300", []time.Duration{Max}},
	}
	for _, c := range cases {
		e := mustParse(t, c.src)
		for retried, want := range c.want {
			if got := e.Delay(retried); got != want {
				t.Errorf("%s with retried=%d: got %v, want %v", c.src, retried, got, want)
			}
		}
		if e.String() != c.src {
			t.Errorf("String is %q, want %q", e, c.src)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("(", n) + "1" + strings.Repeat(")", n) }
	cases := []struct{ src, want string }{
		{"", "is empty"},
		{"   ", "is empty"},
		{"5 % 2", `column 3: unexpected "%"`},
		{"2 ** 3", `column 3: unexpected "**"`},
		{"2 ^ 3", `column 3: unexpected "^"`},
		{"retries * 2", `column 1: unknown name "retries"`},
		{"Retried", `unknown name "Retried"`},
		{"1 + Math", `column 5: unknown name "Math"`},
		{"pow", "column 4: unexpected the end: want ("},
		{"pow(2)", "column 1: pow takes 2 arguments"},
		{"pow(1,2,3)", "pow takes 2 arguments"},
		{"sqrt(1,2)", "sqrt takes one argument"},
		{"sqrt()", `column 6: unexpected ")"`},
		{"min(1)", "min takes two or more arguments"},
		{"min(1,)", `column 7: unexpected ")"`},
		{"retried(1)", `column 8: unexpected "("`},
		{"(1", "column 3: unexpected the end: want )"},
		{"1)", `column 2: unexpected ")"`},
		{"1 2", `column 3: unexpected "2"`},
		{"2retried", `column 2: unexpected "retried"`},
		{"+1", `column 1: unexpected "+"`},
		{"1 +", "column 4: unexpected the end"},
		{"1,2", `column 2: unexpected ","`},
		{"1.2.3", `"1.2.3" is no number`},
		{".", `"." is no number`},
		{"1e", `"1e" is no number`},
		{"1e999", "too large"},
		{"0x10", `column 2: unexpected "x10"`},
		{"1_000", `column 2: unexpected "_000"`},
		{"١", `unexpected "١"`},
		{"1\n", `unexpected "\n"`},
		{"1;drop", `unexpected ";"`},
		{deep(33), "nested more than 32 deep"},
		{strings.Repeat("-", 33) + "1", "nested more than 32 deep"},
		{deep(10_000), "longer than 1024"},
		{strings.Repeat("1+", 512) + "1", "longer than 1024"},
	}
	for _, c := range cases {
		_, err := Parse(c.src)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: error %v, want one with %q", c.src, err, c.want)
		}
	}
	mustParse(t, deep(32))
	mustParse(t, strings.Repeat("1+", 511)+"1")
}

func TestEvalAllocatesNothing(t *testing.T) {
	e := mustParse(t, strings.Repeat("pow(1, 2 + 3 * (", 15)+"retried"+strings.Repeat("))", 15))
	if n := testing.AllocsPerRun(100, func() { e.Delay(3) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// tree is a random expression that knows its own text and value. Its value comes
// from math directly and its text is fully bracketed, or bare where precedence
// makes brackets needless, so the parser's idea of precedence is under test.
type tree struct {
	text  string
	power int // the binding power of its outermost operator; 4 for an operand
	value float64
}

const powerOperand = 4

func (n tree) in(power int) string {
	if n.power < power {
		return "(" + n.text + ")"
	}
	return n.text
}

func randomTree(r *rand.Rand, depth int, retried float64) tree {
	if depth == 0 || r.IntN(6) == 0 {
		return leaf(r, retried)
	}
	a := randomTree(r, depth-1, retried)
	if k := r.IntN(9); k < 7 {
		return call1(k, a)
	}
	b := randomTree(r, depth-1, retried)
	return node2(r.IntN(7), a, b)
}

func leaf(r *rand.Rand, retried float64) tree {
	if r.IntN(3) == 0 {
		return tree{"retried", powerOperand, retried}
	}
	v := math.Floor(r.Float64()*1e6) / math.Pow(10, float64(r.IntN(6)))
	format := "fe"[r.IntN(2)]
	return tree{strconv.FormatFloat(v, format, -1, 64), powerOperand, v}
}

func call1(k int, a tree) tree {
	switch k {
	case 0:
		return tree{"-" + a.in(bindSign), bindSign, -a.value}
	case 1:
		return tree{"sqrt(" + a.text + ")", powerOperand, math.Sqrt(a.value)}
	case 2:
		return tree{"abs( " + a.text + ")", powerOperand, math.Abs(a.value)}
	case 3:
		return tree{"exp(" + a.text + " )", powerOperand, math.Exp(a.value)}
	case 4:
		return tree{"floor(" + a.text + ")", powerOperand, math.Floor(a.value)}
	case 5:
		return tree{"ceil(" + a.text + ")", powerOperand, math.Ceil(a.value)}
	default:
		return tree{"round(" + a.text + ")", powerOperand, math.Round(a.value)}
	}
}

func node2(k int, a, b tree) tree {
	switch k {
	case 0:
		return tree{a.in(bindSum) + " + " + b.in(bindProduct), bindSum, float64(a.value + b.value)}
	case 1:
		return tree{a.in(bindSum) + "-" + b.in(bindProduct), bindSum, float64(a.value - b.value)}
	case 2:
		return tree{a.in(bindProduct) + "*" + b.in(bindSign), bindProduct, float64(a.value * b.value)}
	case 3:
		return tree{a.in(bindProduct) + " /" + b.in(bindSign), bindProduct, a.value / b.value}
	case 4:
		return tree{"pow(" + a.text + ", " + b.text + ")", powerOperand, math.Pow(a.value, b.value)}
	case 5:
		return tree{"min(" + a.text + "," + b.text + ")", powerOperand, math.Min(a.value, b.value)}
	default:
		return tree{fmt.Sprintf("max(%s,%s,%s)", a.text, b.text, a.text), powerOperand, math.Max(a.value, b.value)}
	}
}

func TestRandomTreesAgainstMath(t *testing.T) {
	tried := 0
	for seed := range uint64(30_000) {
		r := rand.New(rand.NewPCG(seed, 3))
		retried := r.IntN(10)
		n := randomTree(r, 1+r.IntN(6), float64(retried))
		if len(n.text) > exprBytesMax {
			continue
		}
		tried++
		got := mustParse(t, n.text).Eval(retried)
		if got != n.value && !(math.IsNaN(got) && math.IsNaN(n.value)) {
			t.Fatalf("seed %d: %s with retried=%d is %v, want %v", seed, n.text, retried, got, n.value)
		}
	}
	if tried < 20_000 {
		t.Fatalf("only %d trees were short enough", tried)
	}
}

func FuzzParse(f *testing.F) {
	for _, src := range []string{"1000 * (1 + retried)", "max(1,2,3)/-retried", "1e999", "((((", "**", "min(", "\xff", "pow(2,3"} {
		f.Add(src, 3)
	}
	f.Fuzz(func(t *testing.T, src string, retried int) {
		e, err := Parse(src)
		if err != nil {
			if e != nil || !strings.HasPrefix(err.Error(), "expression ") {
				t.Fatalf("%q: %v, %v", src, e, err)
			}
			return
		}
		if len(e.code) > len(src) {
			t.Fatalf("%q: %d steps for %d bytes", src, len(e.code), len(src))
		}
		if d := e.Delay(retried); d < 0 || d > Max {
			t.Fatalf("%q: delay %v", src, d)
		}
		again := mustParse(t, " "+src[:min(len(src), exprBytesMax-1)])
		if a, b := again.Eval(retried), e.Eval(retried); len(src) < exprBytesMax && a != b && !math.IsNaN(a) {
			t.Fatalf("%q: %v and %v", src, a, b)
		}
	})
}

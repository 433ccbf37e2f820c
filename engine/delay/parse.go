package delay

import (
	"fmt"
	"strconv"
	"strings"
)

const exprHelp = `want milliseconds made of numbers, retried, + - * / ( ) and pow sqrt abs exp floor ceil round min max, such as "pow(2, retried) * 1000"`

// function is what may be called: its operation and how many arguments it takes.
// min and max take two or more.
type function struct {
	op       opcode
	args     int
	variadic bool
}

var functions = map[string]function{
	"pow":   {op: opPow, args: 2},
	"sqrt":  {op: opSqrt, args: 1},
	"abs":   {op: opAbs, args: 1},
	"exp":   {op: opExp, args: 1},
	"floor": {op: opFloor, args: 1},
	"ceil":  {op: opCeil, args: 1},
	"round": {op: opRound, args: 1},
	"min":   {op: opMin, args: 2, variadic: true},
	"max":   {op: opMax, args: 2, variadic: true},
}

// Binding powers: an operator takes what stands to its right up to the next one
// that does not bind tighter.
const (
	bindNone = iota
	bindSum
	bindProduct
	bindSign
)

// Parse reads an Upstash-Retry-Delay expression (QSTASH.md §3.5): at most 1,024
// bytes, nested at most 32 deep. The error names the column, counted in bytes from
// 1, and what would be right there.
func Parse(src string) (*Expr, error) {
	if len(src) > exprBytesMax {
		return nil, fmt.Errorf("expression of %d bytes is longer than %d", len(src), exprBytesMax)
	}
	p := parser{src: src}
	p.advance()
	if p.token.kind == tokenEnd {
		return nil, fmt.Errorf("expression is empty: %s", exprHelp)
	}
	p.expression(bindNone)
	if p.token.kind != tokenEnd {
		p.fail("want an operator or the end")
	}
	if p.err != nil {
		return nil, p.err
	}
	return &Expr{src: src, code: p.code}, nil
}

// parser is a Pratt parser that emits postfix code as it goes. The first error is
// kept, and turns every following token into the end, so that all loops finish.
type parser struct {
	src   string
	at    int // where the token after the current one begins
	token token
	depth int
	code  []instr
	err   error
}

func (p *parser) emit(op opcode) { p.code = append(p.code, instr{op: op}) }

// fail records what is wrong at the current token.
func (p *parser) fail(want string) {
	found := "the end"
	if p.token.kind != tokenEnd {
		found = strconv.Quote(p.token.text)
	}
	p.failAt(p.token.at, fmt.Sprintf("unexpected %s: %s", found, want))
}

func (p *parser) failAt(at int, text string) {
	if p.err == nil {
		p.err = fmt.Errorf("expression at column %d: %s; %s", at+1, text, exprHelp)
	}
	p.at = len(p.src)
	p.token = token{kind: tokenEnd, at: p.at}
}

func (p *parser) expression(bind int) {
	p.operand()
	for {
		op, power := binary(p.token)
		if power <= bind {
			return
		}
		p.advance()
		p.expression(power)
		p.emit(op)
	}
}

// binary is the operation of an infix token; a power of bindNone says it is none.
func binary(t token) (opcode, int) {
	if t.kind != tokenSign {
		return 0, bindNone
	}
	switch t.text {
	case "+":
		return opAdd, bindSum
	case "-":
		return opSubtract, bindSum
	case "*":
		return opMultiply, bindProduct
	case "/":
		return opDivide, bindProduct
	}
	return 0, bindNone
}

func (p *parser) operand() {
	t := p.token
	if p.depth++; p.depth > exprDepthMax+1 {
		p.failAt(t.at, fmt.Sprintf("nested more than %d deep", exprDepthMax))
	}
	defer func() { p.depth-- }()
	switch {
	case t.kind == tokenNumber:
		p.number()
	case t.kind == tokenName:
		p.name()
	case t.text == "(":
		p.advance()
		p.expression(bindNone)
		p.expect(")")
	case t.text == "-":
		p.advance()
		p.expression(bindSign)
		p.emit(opNegate)
	default:
		p.fail("want a number, retried, a function, - or (")
	}
}

func (p *parser) number() {
	value, err := strconv.ParseFloat(p.token.text, 64)
	if err != nil {
		p.failAt(p.token.at, fmt.Sprintf("%q is no number, or too large for one", p.token.text))
		return
	}
	p.code = append(p.code, instr{op: opNumber, value: value})
	p.advance()
}

func (p *parser) name() {
	t := p.token
	if t.text == "retried" {
		p.emit(opRetried)
		p.advance()
		return
	}
	f, ok := functions[t.text]
	if !ok {
		p.failAt(t.at, fmt.Sprintf("unknown name %q", t.text))
		return
	}
	p.advance()
	p.expect("(")
	p.arguments(t, f)
}

// arguments parses a call behind its parenthesis. A call with more arguments than
// two is folded from the left, which is the same for min and max and keeps the
// stack of Eval small.
func (p *parser) arguments(name token, f function) {
	count := 0
	for {
		p.expression(bindNone)
		count++
		if f.args == 1 || count > 1 {
			p.emit(f.op)
		}
		if p.token.text != "," {
			break
		}
		if count == f.args && !f.variadic {
			break
		}
		p.advance()
	}
	if p.err == nil && (count < f.args || p.token.text == ",") {
		p.failAt(name.at, fmt.Sprintf("%s takes %s", name.text, f.arity()))
	}
	p.expect(")")
}

func (f function) arity() string {
	switch {
	case f.variadic:
		return "two or more arguments"
	case f.args == 1:
		return "one argument"
	}
	return strconv.Itoa(f.args) + " arguments"
}

func (p *parser) expect(sign string) {
	if p.token.text != sign {
		p.fail("want " + sign)
		return
	}
	p.advance()
}

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenNumber
	tokenName
	tokenSign // one byte that is neither; whether it may stand here the parser says
)

type token struct {
	kind tokenKind
	text string
	at   int
}

const (
	decimals = "0123456789"
	letters  = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
)

// advance reads the next token.
func (p *parser) advance() {
	rest := strings.TrimLeft(p.src[p.at:], " \t")
	at := len(p.src) - len(rest)
	kind, size := tokenEnd, 0
	switch {
	case rest == "":
	case rest[0] == '.' || strings.IndexByte(decimals, rest[0]) >= 0:
		kind, size = tokenNumber, numberSize(rest)
	case strings.IndexByte(letters, rest[0]) >= 0:
		kind, size = tokenName, span(rest, letters+decimals)
	case strings.HasPrefix(rest, "**"):
		kind, size = tokenSign, 2 // one token, so that the error names it
	default:
		kind, size = tokenSign, runeSize(rest)
	}
	p.token = token{kind: kind, text: rest[:size], at: at}
	p.at = at + size
}

// numberSize is the length of digits, a fraction and an exponent. What is
// malformed, such as "1e" or ".", is taken whole and refused as a number.
func numberSize(s string) int {
	n := span(s, decimals+".")
	if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
		n++
		if n < len(s) && (s[n] == '+' || s[n] == '-') {
			n++
		}
		n += span(s[n:], decimals)
	}
	return n
}

// span is how many bytes at the start of s belong to set.
func span(s, set string) int { return len(s) - len(strings.TrimLeft(s, set)) }

// runeSize keeps a multi-byte character whole for the error text.
func runeSize(s string) int {
	for i := range s {
		if i > 0 {
			return i
		}
	}
	return len(s)
}

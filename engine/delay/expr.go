package delay

import (
	"math"
	"time"
)

// Bounds of an expression. The longest real one known is some 60 bytes; depth
// counts parentheses, calls and minus signs inside one another.
const (
	exprBytesMax = 1024
	exprDepthMax = 32
)

// Expr is a parsed Upstash-Retry-Delay expression (QSTASH.md §3.5). It is
// immutable and safe for concurrent use.
type Expr struct {
	src  string
	code []instr
}

// instr is one step of a stack machine. Expressions are compiled to postfix order,
// so that evaluation is one bounded loop: at most one step for each byte of source.
type instr struct {
	op    opcode
	value float64 // of opNumber
}

type opcode uint8

const (
	opNumber opcode = iota
	opRetried
	opNegate
	opAdd
	opSubtract
	opMultiply
	opDivide
	opPow
	opSqrt
	opAbs
	opExp
	opFloor
	opCeil
	opRound
	opMin
	opMax
)

// String returns the source as it was given, which views echo verbatim.
func (e *Expr) String() string { return e.src }

// Delay is the wait before the next attempt, when retried retries have been made:
// 0 before the first. The expression's value is in milliseconds; one that is not a
// number, infinite or negative means no wait, and the longest wait is Max.
func (e *Expr) Delay(retried int) time.Duration {
	ms := e.Eval(retried)
	switch {
	case math.IsNaN(ms), math.IsInf(ms, 0), ms <= 0:
		return 0
	case ms >= float64(Max.Milliseconds()):
		return Max
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// Eval is the bare value of the expression: milliseconds, but any float64,
// infinities and NaN among them. It allocates nothing.
func (e *Expr) Eval(retried int) float64 {
	// A nesting level keeps at most three operands waiting: a call's first
	// argument, a term and a factor.
	var room [3*exprDepthMax + 8]float64
	stack := room[:0]
	for _, in := range e.code {
		switch {
		case in.op == opNumber:
			stack = append(stack, in.value)
		case in.op == opRetried:
			stack = append(stack, float64(retried))
		case in.op.unary():
			top := len(stack) - 1
			stack[top] = apply1(in.op, stack[top])
		default:
			top := len(stack) - 1
			stack[top-1] = apply2(in.op, stack[top-1], stack[top])
			stack = stack[:top]
		}
	}
	return stack[0]
}

func (op opcode) unary() bool {
	return op == opNegate || op >= opSqrt && op <= opRound
}

func apply1(op opcode, x float64) float64 {
	switch op {
	case opNegate:
		return -x
	case opSqrt:
		return math.Sqrt(x)
	case opAbs:
		return math.Abs(x)
	case opExp:
		return math.Exp(x)
	case opFloor:
		return math.Floor(x)
	case opCeil:
		return math.Ceil(x)
	case opRound:
		return math.Round(x)
	}
	panic("delay: BUG: not a unary operation")
}

// apply2 uses explicit conversions so that a product and a sum are rounded one
// after the other: Go may otherwise fuse them on some machines, and the same
// expression would give another delay there.
func apply2(op opcode, x, y float64) float64 {
	switch op {
	case opAdd:
		return float64(x + y)
	case opSubtract:
		return float64(x - y)
	case opMultiply:
		return float64(x * y)
	case opDivide:
		return x / y
	case opPow:
		return math.Pow(x, y)
	case opMin:
		return math.Min(x, y)
	case opMax:
		return math.Max(x, y)
	}
	panic("delay: BUG: not a binary operation")
}

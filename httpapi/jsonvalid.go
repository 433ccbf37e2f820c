package httpapi

// checkJSON says whether b is one valid JSON text nested at most jsonDepthMax
// deep. What it takes is what encoding/json takes up to that depth (FuzzValidJSON),
// bytes that are no UTF-8 included. It costs one look at each byte, and in strings
// at eight together: a batch is mostly the strings that are its bodies.
func checkJSON(b []byte) *failure {
	end := jsonValue(b, 0, jsonDepthMax)
	switch {
	case end >= 0 && skipSpace(b, end) == len(b):
		return nil
	case jsonDepth(b) > jsonDepthMax:
		return badRequest("the body is nested deeper than %d levels of JSON", jsonDepthMax)
	}
	return errJSON
}

// jsonDepth returns how deep b is nested, whether or not it is valid: who sends
// what is too deep is told so, whatever else is wrong with it.
func jsonDepth(b []byte) (most int) {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i += stringEnd(b[i:]) - 1
		case '[', '{':
			depth++
			most = max(most, depth)
		case ']', '}':
			depth--
		}
	}
	return most
}

// The functions below take the place in b where something is to begin and return the
// place behind it, or -1 if it does not stand there. Levels is how many arrays and
// objects may still be opened: it bounds the recursion.

// jsonValue takes a value of any kind, white space before it included.
func jsonValue(b []byte, i, levels int) int {
	i = skipSpace(b, i)
	if i == len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return jsonString(b, i)
	case '{':
		return jsonObject(b, i, levels)
	case '[':
		return jsonArray(b, i, levels)
	case 't':
		return jsonLiteral(b, i, "true")
	case 'f':
		return jsonLiteral(b, i, "false")
	case 'n':
		return jsonLiteral(b, i, "null")
	}
	return jsonNumber(b, i)
}

func jsonLiteral(b []byte, i int, text string) int {
	if end := i + len(text); end <= len(b) && string(b[i:end]) == text {
		return end
	}
	return -1
}

func jsonArray(b []byte, i, levels int) int {
	if levels == 0 {
		return -1
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i = jsonValue(b, i, levels-1); i < 0 {
			return -1
		}
		i = skipSpace(b, i)
		switch {
		case i == len(b):
			return -1
		case b[i] == ']':
			return i + 1
		case b[i] != ',':
			return -1
		}
		i++
	}
}

func jsonObject(b []byte, i, levels int) int {
	if levels == 0 {
		return -1
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == '}' {
		return i + 1
	}
	for {
		if i = jsonMember(b, i, levels-1); i < 0 {
			return -1
		}
		switch {
		case i == len(b):
			return -1
		case b[i] == '}':
			return i + 1
		case b[i] != ',':
			return -1
		}
		i = skipSpace(b, i+1)
	}
}

// jsonMember takes a name, a colon, a value, and the white space after each.
func jsonMember(b []byte, i, levels int) int {
	if i == len(b) || b[i] != '"' {
		return -1
	}
	if i = jsonString(b, i); i < 0 {
		return -1
	}
	if i = skipSpace(b, i); i == len(b) || b[i] != ':' {
		return -1
	}
	if i = jsonValue(b, i+1, levels); i < 0 {
		return -1
	}
	return skipSpace(b, i)
}

// jsonString takes a string, from its opening quote on.
func jsonString(b []byte, i int) int {
	for i++; i < len(b); {
		i += plainLen(b[i:])
		if i == len(b) {
			return -1
		}
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			n := escapeLen(b[i:])
			if n == 0 {
				return -1
			}
			i += n
		default:
			return -1 // a control character
		}
	}
	return -1
}

// escapeLen returns the length of the escape that s starts with, 0 if it is none.
func escapeLen(s []byte) int {
	if len(s) < 2 {
		return 0
	}
	switch {
	case escapes[s[1]] != 0:
		return 2
	case s[1] == 'u' && len(s) >= 6 && hexValue(s[2]) >= 0 && hexValue(s[3]) >= 0 && hexValue(s[4]) >= 0 && hexValue(s[5]) >= 0:
		return 6
	}
	return 0
}

func jsonNumber(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = jsonDigits(b, i); i < 0 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		if i = jsonDigits(b, i+1); i < 0 {
			return -1
		}
	}
	if i == len(b) || b[i]|0x20 != 'e' {
		return i
	}
	i++
	if i < len(b) && (b[i] == '+' || b[i] == '-') {
		i++
	}
	return jsonDigits(b, i)
}

// jsonDigits takes one digit or more.
func jsonDigits(b []byte, i int) int {
	from := i
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	if i == from {
		return -1
	}
	return i
}

// skipSpace returns the place of the first byte from i on that is no white space of
// JSON, or len(b).
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

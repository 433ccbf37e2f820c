package config

import (
	"strconv"
	"strings"
	"unicode"
)

// oneLine is a text that somebody wrote as it stands in a line of ours.
func oneLine(text string) string {
	if text == "" || strings.ContainsFunc(text, unicode.IsControl) {
		return strconv.Quote(text)
	}
	return text
}

// nearest is the word that was probably meant, "" if none is near: more than three
// edits away is another word, and of a short one so is more than half of it.
func nearest(word string, known []string) string {
	near, least := "", min(4, len(word)/2+1)
	for _, k := range known {
		if d := editDistance(word, k); d < least {
			near, least = k, d
		}
	}
	return near
}

// editDistance is Levenshtein's, over bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

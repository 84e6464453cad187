// Counts the words of its input, and prints them as JSON, most frequent first.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"sort"
	"strings"
)

type count struct {
	Word  string  `json:"word"`
	Count int     `json:"count"`
	Share float64 `json:"share"`
}

func main() {
	word := regexp.MustCompile(`[\p{L}][\p{L}'-]*`)
	counts, total := map[string]int{}, 0
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<16), 1<<24)
	for lines.Scan() {
		for _, found := range word.FindAllString(lines.Text(), -1) {
			counts[strings.ToLower(found)]++
			total++
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, "words:", err)
		os.Exit(1)
	}
	sorted := make([]count, 0, len(counts))
	for word, n := range counts {
		sorted = append(sorted, count{word, n, float64(n) / float64(total)})
	}
	sort.Slice(sorted, func(i, j int) bool {
		if sorted[i].Count != sorted[j].Count {
			return sorted[i].Count > sorted[j].Count
		}
		return sorted[i].Word < sorted[j].Word
	})
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", " ")
	if err := out.Encode(map[string]any{"total": total, "words": sorted}); err != nil {
		fmt.Fprintln(os.Stderr, "words:", err)
		os.Exit(1)
	}
}

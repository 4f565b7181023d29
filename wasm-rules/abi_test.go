// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
	"github.com/nearside/nearside/wasm-rules/bytecode"
)

var update = flag.Bool("update", false, "rewrite the worked record in ABI.md")

// block returns the lines of the document's fenced block of that kind and where
// they are.
func block(t *testing.T, document []byte, kind string) (lines []string, from, to int) {
	t.Helper()
	open := []byte("\n```" + kind + "\n")
	from = bytes.Index(document, open) + len(open)
	if from < len(open) || bytes.Contains(document[from:], open) {
		t.Fatalf("ABI.md does not have exactly one block ```%s", kind)
	}
	to = from + bytes.Index(document[from-1:], []byte("\n```")) - 1
	return strings.Split(strings.Trim(string(document[from:max(from, to)]), "\n"), "\n"), from, max(from, to)
}

func readABI(t *testing.T) []byte {
	t.Helper()
	document, err := os.ReadFile("ABI.md")
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// workedView is the view of the worked record: everything the text says exists,
// with only some of it granted.
func workedView() *edge.View {
	visit := &edge.Visit{
		Page:  edge.Page{Path: "/hats", Tags: []string{"felt", "wool"}},
		Place: edge.Place{Country: "FR", City: "Lyon", HasPoint: true, Lat: 45.76, Lon: 4.84},
		Lang:  "fr",
		Own: []edge.OwnValue{
			{Value: edge.Value{Type: edge.TypeFloat, Float: 0.5}, Purpose: consent.Context},
			{Value: edge.Value{Type: edge.TypeItems, Items: []edge.Item{{ID: "sku-7", Quantity: 2, Price: 12.5}}}, Purpose: consent.Context},
		},
	}
	own := edge.FieldNumber(edge.BuiltinFields)
	mask := edge.Mask{}.With(edge.FieldPagePath).With(edge.FieldPageTags).With(edge.FieldCountry).With(own).With(own + 1).With(edge.FieldLat)
	return edgetest.View(visit, mask, consent.Context)
}

func TestTheWorkedRecordOfTheDocumentIsWhatIsEncoded(t *testing.T) {
	record := encodeRecord(workedView(), nil)
	document := readABI(t)
	lines, from, to := block(t, document, "record")
	if *update {
		document = slices.Concat(document[:from], []byte(annotate(record)), document[to:])
		if err := os.WriteFile("ABI.md", document, 0o644); err != nil {
			t.Fatal(err)
		}
		lines, _, _ = block(t, document, "record")
	}
	var got []byte
	for _, line := range lines {
		place, content, _ := strings.Cut(line, ": ")
		content, _, _ = strings.Cut(content, "  ")
		if at, err := strconv.Atoi(strings.TrimSpace(place)); err != nil || at != len(got) {
			t.Fatalf("line %q is not at offset %d", line, len(got))
		}
		got = append(got, parseBytes(t, content)...)
	}
	if !bytes.Equal(got, record) {
		t.Errorf("ABI.md has a record of\n% x\nbut the encoder gives\n% x\n(go test -update rewrites it)", got, record)
	}
}

// parseBytes reads "4E 45" and "00 * 12".
func parseBytes(t *testing.T, text string) []byte {
	t.Helper()
	if value, times, ok := strings.Cut(text, " * "); ok {
		n, err := strconv.Atoi(strings.TrimSpace(times))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Repeat(parseBytes(t, value), n)
	}
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// annotate writes the worked record as the document shows it: its offset, its
// bytes, what they are.
func annotate(record []byte) string {
	notes := map[int]string{
		0: `magic "NEA1"`, 4: fmt.Sprintf("length %d", len(record)),
		8: fmt.Sprintf("%d built-in fields", edge.BuiltinFields), 10: "2 own fields", 12: "reserved",
	}
	slots := recordHeader + presenceBytes(edge.BuiltinFields+2)
	notes[recordHeader] = "presence"
	notes[slots] = "slots"
	heap := slots + (edge.BuiltinFields+2)*slotBytes
	own := edge.BuiltinFields
	slot := func(n int, note string) {
		notes[slots+n*slotBytes] = fmt.Sprintf("slot %d: %s", n, note)
		notes[slots+(n+1)*slotBytes] = ""
	}
	slot(int(edge.FieldCountry), "geo.country, 2 bytes")
	slot(own, "the first own field, 0.5")
	slot(int(edge.FieldPageTags), "page.tags, 2 texts")
	slot(own+1, "the second own field, 1 item")
	slot(int(edge.FieldPagePath), "page.path, 5 bytes")
	at := heap
	for _, part := range []struct {
		size int
		note string
	}{
		{5, `"/hats"`}, {align8(heap+5) - heap - 5, "padding"}, {8, "felt: offset and length"}, {8, "wool: offset and length"},
		{4, `"felt"`}, {4, `"wool"`}, {2, `"FR"`},
	} {
		notes[at] = part.note
		at += part.size
	}
	notes[at], at = "padding", align8(at)
	notes[at], notes[at+8], notes[at+16], notes[at+24] = "sku-7: offset and length", "quantity 2", "price 12.5", `"sku-7"`

	var places []int
	for n := range notes {
		if n < len(record) {
			places = append(places, n)
		}
	}
	slices.Sort(places)
	var b strings.Builder
	for i, from := range append(places, len(record))[:len(places)] {
		part := record[from:append(places, len(record))[i+1]]
		text := fmt.Sprintf("% X", part)
		if len(part) > 8 && len(bytes.Trim(part, "\x00")) == 0 {
			text = fmt.Sprintf("00 * %d", len(part))
		}
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("%4d: %-23s  %s", from, text, notes[from]), " "))
	}
	return b.String()
}

func TestTheWorkedOutputOfTheDocumentIsRead(t *testing.T) {
	lines, _, _ := block(t, readABI(t), "output")
	because, items, err := ParseOutput(parseBytes(t, strings.Join(lines, " ")))
	if err != nil {
		t.Fatal(err)
	}
	if want := []edge.AnswerItem{{ID: "sku-7", Reason: "seen"}}; because != "On a phone" || !reflect.DeepEqual(items, want) {
		t.Errorf("got %q, %+v", because, items)
	}
}

func TestTheWorkedAnswerOfCompiledRulesIsRead(t *testing.T) {
	lines, _, _ := block(t, readABI(t), "held")
	memory := parseBytes(t, strings.Join(strings.Fields(strings.Join(lines, " ")), ""))
	in := &ruleInstance{memory: memory}
	var held edge.Held
	if err := in.read(0, 3, &held); err != nil {
		t.Fatal(err)
	}
	if held.Bits != [4]uint64{0b101} || held.Scores[0] != 10 || held.Scores[2] != -1 {
		t.Errorf("got bits %b, scores %d", held.Bits, held.Scores[:3])
	}
	if err := in.read(0, 2, &held); !errors.Is(err, ErrNonsense) {
		t.Errorf("a candidate too many: %v", err)
	}
	if err := in.read(0, 4, &held); !errors.Is(err, ErrNonsense) {
		t.Errorf("an answer that ends past the memory: %v", err)
	}
}

func TestTheWorkedResultsOfTheDocumentAreRead(t *testing.T) {
	lines, _, _ := block(t, readABI(t), "result")
	if len(lines) < 3 {
		t.Fatalf("%d worked results", len(lines))
	}
	for _, line := range lines {
		number, want, _ := strings.Cut(line, "  ")
		bits, err := strconv.ParseUint(number, 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		got := "no answer"
		if variant, score := splitResult(bits); variant != 0 {
			got = fmt.Sprintf("variant %d, score %d", variant, score)
		}
		if got != want {
			t.Errorf("%s is %q, the document says %q", number, got, want)
		}
	}
}

func TestTheDocumentNamesEverySignatureAndLimit(t *testing.T) {
	document := string(readABI(t))
	for _, s := range exports() {
		if row := fmt.Sprintf("| `%s` | `%s` |", s.name, s.typ); !strings.Contains(document, row) {
			t.Errorf("ABI.md lacks %s", row)
		}
	}
	_, compiled, _ := strings.Cut(document, "\n## 6. Compiled rules\n")
	for _, s := range compiledExports() {
		if row := fmt.Sprintf("| `%s` | `%s` |", s.name, s.typ); !strings.Contains(compiled, row) {
			t.Errorf("section 6 of ABI.md lacks %s", row)
		}
	}
	for _, limit := range []string{fmt.Sprintf("at most %d.", edge.MaxCandidates), fmt.Sprintf("| held | %d |", heldBytes), fmt.Sprintf("| scores | %d · candidates |", scoreBytes)} {
		if !strings.Contains(compiled, limit) {
			t.Errorf("section 6 of ABI.md does not say %q", limit)
		}
	}
	small, large := bytecode.Standard(), bytecode.Large()
	for _, limit := range []string{
		fmt.Sprintf("%d KiB, or %d MiB", small.Bytes>>10, large.Bytes>>20), fmt.Sprintf("%d functions", small.Functions), fmt.Sprintf("%d KiB,", small.BodyBytes>>10),
		fmt.Sprintf("%d locals", small.Locals), fmt.Sprintf("%d parameters", small.Params), fmt.Sprintf("%d results", small.Results),
		fmt.Sprintf("%d exports", small.Exports), fmt.Sprintf("%d pages", small.MemoryPages), fmt.Sprintf("one table of at most %d", small.TableEntries),
		fmt.Sprintf("at most %d (under", edge.MaxBudget), fmt.Sprintf("at least %d.", minBudget), fmt.Sprintf("may spend %d\n", startFuel), fmt.Sprintf("together, %d in", largeStartFuel), fmt.Sprintf("a node holds %d;", largeModules), fmt.Sprintf("nested %d deep", maxDepth),
		fmt.Sprintf("%d seconds of processor time", int(standardLimits.cpu.Seconds())), fmt.Sprintf("%d GiB of address", standardLimits.address>>30), fmt.Sprintf("%d MiB of\ncode", standardLimits.file>>20),
		fmt.Sprintf("limits it (%d seconds, %d in a check)", int(standardLimits.wall.Seconds()), int(checkLimits.wall.Seconds())),
		fmt.Sprintf("at most %d bytes", MaxRecordBytes), fmt.Sprintf("buffer of %d bytes", MaxOutputBytes), fmt.Sprintf("at most %d,", MaxOutputBytes-4),
	} {
		if !strings.Contains(document, limit) {
			t.Errorf("ABI.md does not say %q", limit)
		}
	}
}

// TestTheDocumentSaysWhatIsSigned compares the example with SignedText.
// The parser knows no other package, so its bound stands twice.
func TestTheLargestModuleIsOneForAll(t *testing.T) {
	if got := bytecode.Large().Bytes; got != edge.MaxModuleBytes {
		t.Errorf("the parser takes %d bytes, the store %d", got, edge.MaxModuleBytes)
	}
}

func TestTheDocumentSaysWhatIsSigned(t *testing.T) {
	_, example, _ := strings.Cut(string(readABI(t)), "```signed\n")
	example, _, _ = strings.Cut(example, "```")
	want := SignedText("demo", edge.ModuleRef{Name: "hats", Version: "1.0.0", Hash: strings.Repeat("0123456789abcdef", 4)})
	if example != string(want) {
		t.Errorf("the document has\n%s\nwant\n%s", example, want)
	}
}

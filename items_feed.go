// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
)

// feedColumns says where a column of a feed goes, by its name in lower case with
// "_" for blanks: our own names, and those of Google's product data
// specification (support.google.com/merchants/answer/7052112). Columns that are
// not in it go nowhere, but for those that begin with "attributes.".
var feedColumns = map[string]func(it *edge.CatalogueItem, value string) *lineFault{
	"id":                      func(it *edge.CatalogueItem, v string) *lineFault { it.ID = v; return nil },
	"title":                   func(it *edge.CatalogueItem, v string) *lineFault { it.Title = v; return nil },
	"url":                     func(it *edge.CatalogueItem, v string) *lineFault { it.URL = v; return nil },
	"link":                    func(it *edge.CatalogueItem, v string) *lineFault { it.URL = v; return nil },
	"image":                   func(it *edge.CatalogueItem, v string) *lineFault { it.Image = v; return nil },
	"image_link":              func(it *edge.CatalogueItem, v string) *lineFault { it.Image = v; return nil },
	"price":                   setPrice,
	"sale_price":              setPrice, // read after price: it is what is paid
	"currency":                func(it *edge.CatalogueItem, v string) *lineFault { it.Currency = v; return nil },
	"availability":            setAvailability,
	"categories":              func(it *edge.CatalogueItem, v string) *lineFault { it.Categories = listed(v, "|"); return nil },
	"product_type":            addCategory,
	"google_product_category": addCategory,
	"brand":                   func(it *edge.CatalogueItem, v string) *lineFault { it.Brand = v; return nil },
	"tags":                    func(it *edge.CatalogueItem, v string) *lineFault { it.Tags = listed(v, "|"); return nil },
	"updated":                 setUpdated,
	"item_group_id":           attribute("item_group_id"),
	"gtin":                    attribute("gtin"),
	"mpn":                     attribute("mpn"),
	"condition":               attribute("condition"),
	"color":                   attribute("color"),
	"size":                    attribute("size"),
	"gender":                  attribute("gender"),
	"age_group":               attribute("age_group"),
	"material":                attribute("material"),
	"pattern":                 attribute("pattern"),
	"custom_label_0":          attribute("custom_label_0"),
	"custom_label_1":          attribute("custom_label_1"),
	"custom_label_2":          attribute("custom_label_2"),
	"custom_label_3":          attribute("custom_label_3"),
	"custom_label_4":          attribute("custom_label_4"),
}

func attribute(name string) func(*edge.CatalogueItem, string) *lineFault {
	return func(it *edge.CatalogueItem, value string) *lineFault {
		if it.Attributes == nil {
			it.Attributes = make(map[string]string)
		}
		it.Attributes[name] = value
		return nil
	}
}

// setPrice reads "12.50" and "12.50 EUR".
func setPrice(it *edge.CatalogueItem, value string) *lineFault {
	amount, currency, both := strings.Cut(value, " ")
	it.Price = amount
	if both {
		it.Currency = strings.TrimSpace(currency)
	}
	return nil
}

// setAvailability reads "in_stock", "in stock" and "In Stock".
func setAvailability(it *edge.CatalogueItem, value string) *lineFault {
	it.Availability = columnName(value)
	return nil
}

func addCategory(it *edge.CatalogueItem, value string) *lineFault {
	if !slices.Contains(it.Categories, value) {
		it.Categories = append(it.Categories, value)
	}
	return nil
}

func setUpdated(it *edge.CatalogueItem, value string) *lineFault {
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return &lineFault{edge.ItemMalformed, "updated"}
	}
	it.Updated = at.UTC()
	return nil
}

// listed splits a list and leaves out what is empty.
func listed(text, comma string) []string {
	var values []string
	for value := range strings.SplitSeq(text, comma) {
		if value = strings.TrimSpace(value); value != "" {
			values = append(values, value)
		}
	}
	return values
}

// columnName is how feeds' spellings of a word are told to be one.
func columnName(s string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSpace(s)), " ", "_")
}

// A feedColumn is one column of a feed's file and what reads it.
type feedColumn struct {
	at   int
	name string
	set  func(*edge.CatalogueItem, string) *lineFault
}

// readColumns says which of a file's columns are read, in the order in which
// they are, and which are passed over.
func readColumns(header []string) (read []feedColumn, passed []string, err error) {
	for at, name := range header {
		known := columnName(name)
		set := feedColumns[known]
		if own, ok := strings.CutPrefix(known, "attributes."); ok {
			set = attribute(own)
		}
		if set == nil {
			passed = append(passed, name)
			continue
		}
		read = append(read, feedColumn{at, known, set})
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(read, func(c feedColumn) bool { return slices.Contains(names, c.name) })
	}
	switch {
	case !has("id"):
		return nil, nil, errors.New("no column is called id")
	case !has("title"):
		return nil, nil, errors.New("no column is called title")
	case !has("url", "link"):
		return nil, nil, errors.New("no column is called url or link")
	}
	// A sale price replaces the price, whichever stands first.
	slices.SortStableFunc(read, func(a, b feedColumn) int {
		return strings.Compare(saleLast(a.name), saleLast(b.name))
	})
	return read, passed, nil
}

func saleLast(name string) string {
	if name == "sale_price" {
		return "1"
	}
	return "0"
}

// itemOf makes an item of a record. It is nil, with why, where there is none; id is
// what the record calls it even then, as far as that can be read.
func itemOf(rec record, columns []feedColumn) (it *edge.CatalogueItem, id string, fault *lineFault) {
	it = new(edge.CatalogueItem)
	fault = rec.fault
	switch {
	case fault != nil:
		return nil, "", fault
	case rec.json != nil:
		fault = itemFromJSON(rec.json, it)
	default:
		fault = itemFromColumns(rec.values, columns, it)
	}
	if fault == nil {
		if wrong, ok := errors.AsType[*edge.ItemError](it.Check()); ok {
			fault = &lineFault{wrong.Code, wrong.Field}
		}
	}
	if fault != nil {
		return nil, it.ID, fault
	}
	return it, it.ID, nil
}

func itemFromColumns(values []string, columns []feedColumn, it *edge.CatalogueItem) (fault *lineFault) {
	for _, c := range columns {
		value := strings.TrimSpace(values[c.at])
		if value == "" {
			continue
		}
		if wrong := c.set(it, value); wrong != nil && fault == nil {
			fault = wrong
		}
	}
	return fault
}

func itemFromJSON(line []byte, it *edge.CatalogueItem) *lineFault {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(it)
	if err == nil {
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		}
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return &lineFault{edge.ItemMalformed, wrong.Field}
	}
	if err != nil && strings.HasPrefix(err.Error(), "json: unknown field") {
		return &lineFault{edge.ItemUnknown, ""}
	}
	return &lineFault{edge.ItemMalformed, ""}
}

// A feedFile is a feed as it is sent: lines of items, ids to keep, and the end.
type feedFile struct {
	body         bytes.Buffer
	lines, items int
	refused      int
	bad          []refusedLine
	passed       []string // columns that nothing reads
}

// A refusedLine is a line of a file that was not taken.
type refusedLine struct {
	Line  int    `json:"line"`
	Code  string `json:"code"`
	Field string `json:"field,omitempty"`
}

// readFeed reads a whole feed and checks each line; progress is told the lines
// read so far, now and then. Nothing is sent before it is known to be whole.
func readFeed(from io.Reader, format string, progress func(lines int)) (*feedFile, error) {
	records, err := newRecordReader(from, format, place{})
	if err != nil {
		return nil, err
	}
	f := new(feedFile)
	var columns []feedColumn
	if format == formatCSV {
		if columns, f.passed, err = readColumns(records.columns); err != nil {
			return nil, err
		}
	}
	seen := make(map[string]bool)
	for count := 1; ; count++ {
		rec, err := records.next()
		if errors.Is(err, io.EOF) {
			return f, f.put(map[string]int{"end": f.lines})
		}
		if err != nil {
			return nil, fmt.Errorf("after line %d: %w", rec.line, err)
		}
		it, id, fault := itemOf(rec, columns)
		if fault == nil && seen[id] {
			fault = &lineFault{edge.ItemRepeated, "id"}
		}
		if fault == nil {
			seen[id] = true
			f.items++
			err = f.add(it)
		} else {
			err = f.refuse(rec.line, id, *fault)
		}
		if err != nil {
			return nil, err
		}
		if f.body.Len() > maxFeedBytes {
			return nil, fmt.Errorf("line %d: the feed is larger than %d bytes", rec.line, maxFeedBytes)
		}
		if count%10_000 == 0 {
			progress(count)
		}
	}
}

// maxFeedBytes bounds a feed as it is sent.
const maxFeedBytes = 256 << 20

func (f *feedFile) add(it *edge.CatalogueItem) error {
	f.lines++
	return f.put(it)
}

func (f *feedFile) put(line any) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	f.body.Write(append(text, '\n'))
	return nil
}

// refuse notes a line that is not taken. The item it names stays as it is.
func (f *feedFile) refuse(line int, id string, fault lineFault) error {
	f.refused++
	f.bad = append(f.bad, refusedLine{line, fault.code, fault.field})
	if !edge.ValidItemID(id) {
		return nil
	}
	f.lines++
	return f.put(map[string]string{"keep": id})
}

// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/nearside/nearside/edge"
)

// openParquet opens a sink of Parquet files, one per day, site and rotation.
func openParquet(_ context.Context, s *Spec, c Circumstances) (Sink, error) {
	return openFolder(s, parquetFormat{}, c)
}

// A row is an event in a Parquet file. Members of the stored event that every
// event may have are columns of their own type; the others, which depend on the
// site's fields, stand in fields as JSON. A member that is absent is null. Columns
// are only added. What is JSON is a string to Parquet: optional columns of its
// JSON type cannot be written by parquet-go v0.32.0.
type row struct {
	Seq      int64  `parquet:"seq,delta"`
	Index    int32  `parquet:"index"`
	Person   string `parquet:"person,optional,dict"`
	Expires  int64  `parquet:"expires,optional,timestamp(millisecond)"`
	ID       string `parquet:"id"`
	Name     string `parquet:"name,dict"`
	Site     string `parquet:"site_id,dict"` // site is what the path says
	Node     string `parquet:"node,optional,dict"`
	At       int64  `parquet:"at,timestamp(millisecond)"`
	Received int64  `parquet:"received,timestamp(millisecond)"`

	View      string `parquet:"view,optional"`
	Session   string `parquet:"session,optional"`
	Visitor   string `parquet:"visitor,optional"`
	Profile   string `parquet:"profile,optional"`
	Surface   string `parquet:"surface,optional,dict"`
	Origin    string `parquet:"origin,optional,dict"`
	Purposes  int32  `parquet:"purposes"`
	Authority string `parquet:"authority,optional,dict"`
	Policy    string `parquet:"policy,optional,dict"`
	Release   int64  `parquet:"release,optional"`

	Transaction string `parquet:"transaction,optional"`
	Value       string `parquet:"value,optional"` // a decimal: no cent is lost to a float
	Currency    string `parquet:"currency,optional,dict"`
	Page        string `parquet:"page,optional"`
	Source      string `parquet:"source,optional"`
	Decision    string `parquet:"decision,optional"`
	Items       string `parquet:"items,optional"`
	Props       string `parquet:"props,optional"`
	Fields      string `parquet:"fields,optional"`
}

// columnMembers are the members of a stored event that are a column's or more,
// and so not in the column fields.
var columnMembers = []string{
	"v", "id", "name", "at", "site", "node", "received", "view", "session", "visitor", "profile", "surface", "origin", "consent", "release",
	"value", "currency", "page", "source", "decision", "items", "props",
}

// makeRow reads a stored event. A member of another type than its column's is
// left to the column fields.
func makeRow(e *Event) (row, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(e.JSON, &members); err != nil || members == nil {
		return row{}, &refusalError{edge.DeadUndecodable, "the stored event is no JSON object"}
	}
	r := row{
		Seq: int64(e.Seq), Index: int32(e.Index), ID: e.ID, Name: e.Name, Site: e.Site, Transaction: e.Transaction,
		At: e.At.UnixMilli(), Received: e.Received.UnixMilli(), Purposes: int32(e.Purposes),
	}
	if key := edge.PersonKey(e.Visitor); key != (edge.PersonKey{}) {
		r.Person = key.String()
	}
	if !e.Expires.IsZero() {
		r.Expires = e.Expires.UnixMilli()
	}
	var consent consentMember
	kept := map[string]any{
		"node": &r.Node, "received": &r.Received, "view": &r.View, "session": &r.Session, "profile": &r.Profile, "surface": &r.Surface,
		"origin": &r.Origin, "consent": &consent, "release": &r.Release, "value": &r.Value, "currency": &r.Currency,
	}
	texts := map[string]*string{
		"visitor": &r.Visitor, "page": &r.Page, "source": &r.Source, "decision": &r.Decision, "items": &r.Items, "props": &r.Props,
	}
	for _, name := range columnMembers {
		raw, ok := members[name]
		if !ok {
			continue
		}
		if to := texts[name]; to != nil {
			*to = string(raw)
		} else if to := kept[name]; to != nil && json.Unmarshal(raw, to) != nil {
			continue
		}
		delete(members, name)
	}
	r.Authority, r.Policy = consent.Authority, consent.Policy
	if len(members) > 0 {
		rest, err := json.Marshal(members)
		if err != nil {
			return row{}, &refusalError{edge.DeadUndecodable, "the stored event cannot be written again"}
		}
		r.Fields = string(rest)
	}
	return r, nil
}

// A consentMember is the stored event's consent as far as columns have it.
type consentMember struct{ Authority, Policy string }

// UnmarshalJSON refuses what would lose a member; it stays in the column fields.
func (c *consentMember) UnmarshalJSON(raw []byte) error {
	var known struct {
		Purposes  uint32 `json:"purposes"`
		Authority string `json:"authority"`
		Policy    string `json:"policy"`
	}
	in := json.NewDecoder(bytes.NewReader(raw))
	in.DisallowUnknownFields()
	err := in.Decode(&known)
	c.Authority, c.Policy = known.Authority, known.Policy
	return err
}

// A parquetFormat writes an event as a row.
type parquetFormat struct{}

func (parquetFormat) extension() string { return ".parquet" }

func (parquetFormat) check(e *Event) error {
	_, err := makeRow(e)
	return err
}

const (
	// rowGroupRows bounds the rows that a writer holds: 16 MB of usual events.
	rowGroupRows = 32 << 10
	// copyRows is how many rows are read at once.
	copyRows = 256
)

func (parquetFormat) create(f *os.File) (fileWriter, error) {
	return &rowWriter{out: parquet.NewGenericWriter[row](f,
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault}),
		parquet.MaxRowsPerRowGroup(rowGroupRows),
		parquet.BloomFilters(parquet.SplitBlockFilter(10, "person")),
		parquet.CreatedBy("nearside", "", ""),
		parquet.KeyValueMetadata("nearside.version", "1"),
	)}, nil
}

type rowWriter struct {
	out *parquet.GenericWriter[row]
	one [1]row
}

func (w *rowWriter) add(e *Event) (err error) {
	if w.one[0], err = makeRow(e); err != nil {
		return err
	}
	_, err = w.out.Write(w.one[:])
	return err
}

func (w *rowWriter) finish() error { return w.out.Close() }

// personRow is the columns that say whose a row is.
type personRow struct {
	Seq    int64  `parquet:"seq,delta"`
	Person string `parquet:"person,optional,dict"`
}

func (parquetFormat) holds(f *os.File, drop dropper) (found bool, err error) {
	err = eachRow(f, func(r *personRow) error {
		if found = drop(r.Person, uint64(r.Seq)); found {
			return io.EOF
		}
		return nil
	})
	return found, err
}

func (parquetFormat) copy(to fileWriter, from *os.File, drop dropper) (kept int, err error) {
	out := to.(*rowWriter)
	err = eachRow(from, func(r *row) error {
		if drop(r.Person, uint64(r.Seq)) {
			return nil
		}
		kept++
		out.one[0] = *r
		_, err := out.out.Write(out.one[:])
		return err
	})
	return kept, err
}

// eachRow calls fn with each row of a file, until it returns io.EOF. The package
// that reads panics on some damaged files.
func eachRow[T any](f *os.File, fn func(*T) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("the file is damaged")
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		return err
	}
	in := parquet.NewGenericReader[T](file)
	defer in.Close()
	rows := make([]T, copyRows)
	for {
		clear(rows)
		n, err := in.Read(rows)
		for i := range rows[:n] {
			switch err := fn(&rows[i]); {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

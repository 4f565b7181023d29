// SPDX-License-Identifier: Apache-2.0

package lang_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	exprpb "cel.dev/expr"
	_ "cel.dev/expr/conformance/proto2" // messages that the cases name
	_ "cel.dev/expr/conformance/proto3"
	testpb "cel.dev/expr/conformance/test"
	"github.com/tetratelabs/wazero"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/wasm-rules/lang"
)

var update = flag.Bool("update", false, "rewrite testdata/conformance.txt")

const conformanceFile = "testdata/conformance.txt"

// TestConformance runs the cases by which CEL's makers hold its implementations
// to each other. A case that the language takes must answer as it says; which it
// does not take, and why, stands in conformanceFile.
func TestConformance(t *testing.T) {
	runtime := newRuntime(t)
	var report strings.Builder
	all := tally{}
	for _, path := range conformanceFiles(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var file testpb.SimpleTestFile
		if err := prototext.Unmarshal(text, &file); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		counted := tally{refused: make(map[string][]string)}
		for _, section := range file.GetSection() {
			for _, c := range section.GetTest() {
				name := section.GetName() + "/" + c.GetName()
				reason, lifted, err := conform(t, runtime, c)
				switch {
				case err != nil:
					t.Errorf("%s/%s: %s: %v", file.GetName(), name, c.GetExpr(), err)
				case reason != "":
					counted.refused[reason] = append(counted.refused[reason], name)
				default:
					counted.passed++
				}
				if lifted {
					counted.lifted++
				}
			}
		}
		counted.write(&report, file.GetName())
		all.passed += counted.passed
		all.count += counted.count
		all.lifted += counted.lifted
	}
	golden(t, fmt.Sprintf("%s\nall: %s\n%s", conformanceHead, all, &report))
}

const conformanceHead = `CEL's own conformance cases (cel.dev/expr, tests/simple): how many pass in the compiled
module and in the interpreter alike, as written and with each constant read from the visit,
so that the code is run; and which are refused when they are compiled, by the reason. A case
that is taken and answers differently fails the test.
Rewritten by: go test ./wasm-rules/lang -run TestConformance -update
`

func golden(t *testing.T, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(conformanceFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(conformanceFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s does not say what is so; if it should, run the test with -update", conformanceFile)
	}
}

// conformanceFiles lists the files of cases in the module cel.dev/expr.
func conformanceFiles(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "cel.dev/expr").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "tests/simple/testdata/*.textproto"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases found: %v", err)
	}
	return files
}

// A tally counts the cases of a file.
type tally struct {
	passed, count, lifted int
	refused               map[string][]string // names by reason
}

func (c tally) String() string {
	return fmt.Sprintf("%d cases, %d pass (%d without constants too), %d are refused", c.count, c.passed, c.lifted, c.count-c.passed)
}

func (c *tally) write(b *strings.Builder, file string) {
	c.count = c.passed
	for _, names := range c.refused {
		c.count += len(names)
	}
	fmt.Fprintf(b, "\n%s: %s\n", file, *c)
	for _, reason := range slices.Sorted(maps.Keys(c.refused)) {
		fmt.Fprintf(b, "  %s: %d\n    %s\n", reason, len(c.refused[reason]), strings.Join(c.refused[reason], " "))
	}
}

// A site is what a case is run in: fields for its variables, with their values.
type site struct {
	own    []edge.OwnField
	values []edge.Value
}

// visit is a visit that has the site's own fields and no other.
func (s *site) visit() *visitor {
	v := &visitor{granted: consent.All}
	for _, f := range edge.Fields() {
		v.fields = append(v.fields, fieldInfo{name: f.Name, kind: f.Type})
	}
	for _, f := range s.own {
		v.fields = append(v.fields, fieldInfo{name: f.Name})
	}
	v.values = append(make([]edge.Value, edge.BuiltinFields), s.values...)
	return v
}

// conform runs one case. It returns why the language refuses it, or an error if
// it takes it and answers differently. Lifted says that it was run without
// constants too.
func conform(t *testing.T, runtime wazero.Runtime, c *testpb.SimpleTest) (reason string, lifted bool, err error) {
	switch {
	case c.GetCheckOnly():
		return "not run: it is about types alone", false, nil
	case c.GetDisableMacros():
		return "not run: it is about a parser without macros", false, nil
	case c.GetContainer() != "":
		return "not run: it is about a container of names", false, nil
	}
	var in site
	for _, d := range c.GetTypeEnv() {
		kind := fieldType(d.GetIdent().GetType())
		if kind == edge.TypeUnknown {
			return "no field is of the type of a variable", false, nil
		}
		in.own = append(in.own, edge.OwnField{Name: d.GetName(), Type: kind.String(), Purpose: "context"})
		in.values = append(in.values, fieldFrom(c.GetBindings()[d.GetName()].GetValue()))
	}
	l := newLanguage(t, &edge.ReleaseDocument{Fields: in.own})
	condition, want, err := conditionOf(l, c)
	if err != nil {
		return reasonOf(err), false, nil
	}
	refused, err := in.answers(t, runtime, condition, want)
	if refused != nil || err != nil {
		return reasonOf(refused), false, err
	}
	condition, constants := lift(t, l, condition)
	in.own, in.values = append(in.own, constants.own...), append(in.values, constants.values...)
	refused, err = in.answers(t, runtime, condition, want)
	return "", refused == nil, err
}

// answers runs a condition in the interpreter and as a module: why it is refused,
// or how it differs.
func (s *site) answers(t *testing.T, runtime wazero.Runtime, condition string, want any) (refused, differs error) {
	l := newLanguage(t, &edge.ReleaseDocument{Fields: s.own})
	e, err := l.Check(condition, cel.BoolType)
	if err != nil {
		return err, nil
	}
	v := s.visit()
	got, why := l.Interpret(e, v.named, v.granted)
	if len(why) > 0 {
		got = neither{}
	}
	if got != want {
		return nil, fmt.Errorf("the interpreter says that %s is %v, want %v", condition, got, want)
	}
	doc := twins([]string{condition})
	doc.Fields = s.own
	wasm, err := lang.Compile(doc)
	if err != nil {
		return err, nil
	}
	program, err := lang.Read(wasm)
	if err != nil {
		return nil, err
	}
	m := start(t, runtime, wasm, ownNumbers(doc, program.Reads()))
	defer m.close()
	m.show(v.record())
	held := m.decide(0, 2)
	got = neither{}
	switch {
	case holds(&held, 0):
		got = true
	case holds(&held, 1):
		got = false
	}
	if got != want {
		return nil, fmt.Errorf("the module says that %s is %v, want %v", condition, got, want)
	}
	return nil, nil
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	var e *edge.RuleError
	if !errors.As(err, &e) {
		return err.Error()
	}
	switch e.Code {
	case "unknown-name", "syntax", "shape", "too-large":
		return e.Code
	}
	message, _, _ := strings.Cut(e.Message, " cannot be used with")
	return e.Code + ": " + message
}

// conditionOf writes a case as a condition and says what it must answer.
func conditionOf(l *lang.Language, c *testpb.SimpleTest) (condition string, want any, err error) {
	source := "(" + c.GetExpr() + ")"
	value := c.GetValue()
	switch c.GetResultMatcher().(type) {
	case *testpb.SimpleTest_TypedResult:
		value = c.GetTypedResult().GetResult()
	case nil:
		return source, true, nil
	}
	if value != nil {
		if condition, want, err = matches(source, value); err != nil {
			var e *edge.RuleError // of what it asks, if it is not the result alone
			if _, failed := l.Check(source, cel.BoolType); errors.As(failed, &e) && e.Code != "type" {
				err = failed
			}
		}
		return condition, want, err
	}
	// An error is neither true nor false, as is what is told from it.
	for _, condition := range []string{source, source + " == " + source, "size(" + source + ") >= 0"} {
		_, failed := l.Check(condition, cel.BoolType)
		if failed == nil {
			return condition, neither{}, nil
		}
		if err == nil {
			err = failed
		}
	}
	return "", nil, err
}

var errNoValue = errors.New("its result is of a type that the language has not")

// matches is the condition that source has a value, and whether it must hold.
func matches(source string, v *exprpb.Value) (condition string, want any, err error) {
	switch kind := v.GetKind().(type) {
	case *exprpb.Value_BoolValue:
		return source, kind.BoolValue, nil
	case *exprpb.Value_DoubleValue:
		if math.IsNaN(kind.DoubleValue) {
			return source + " != " + source, true, nil
		}
		if math.IsInf(kind.DoubleValue, 0) {
			return fmt.Sprintf("%s == %d.0/0.0", source, int(math.Copysign(1, kind.DoubleValue))), true, nil
		}
		return source + " == " + decimal(kind.DoubleValue), true, nil
	case *exprpb.Value_Int64Value:
		return source + " == " + strconv.FormatInt(kind.Int64Value, 10), true, nil
	case *exprpb.Value_StringValue:
		return source + " == " + strconv.Quote(kind.StringValue), true, nil
	case *exprpb.Value_ListValue:
		list := kind.ListValue.GetValues()
		parts := []string{"size(" + source + ") == " + strconv.Itoa(len(list))}
		for i, element := range list {
			part, want, err := matches(source+"["+strconv.Itoa(i)+"]", element)
			if err != nil {
				return "", nil, err
			}
			if want == false {
				part = "!" + part
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, " && "), true, nil
	case *exprpb.Value_ObjectValue:
		message, err := kind.ObjectValue.UnmarshalNew()
		if err != nil {
			return "", nil, err
		}
		switch m := message.(type) {
		case *timestamppb.Timestamp:
			return source + ` == timestamp("` + m.AsTime().Format(time.RFC3339Nano) + `")`, true, nil
		case *durationpb.Duration:
			return source + ` == duration("` + m.AsDuration().String() + `")`, true, nil
		}
	}
	return "", nil, errNoValue
}

// decimal writes a double so that it is read as one.
func decimal(f float64) string {
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// fieldType is the type of a field that can hold what a case's variable holds.
func fieldType(t *exprpb.Type) edge.Type {
	switch t.GetPrimitive() {
	case exprpb.Type_BOOL:
		return edge.TypeBool
	case exprpb.Type_INT64:
		return edge.TypeInt
	case exprpb.Type_DOUBLE:
		return edge.TypeFloat
	case exprpb.Type_STRING:
		return edge.TypeString
	}
	if t.GetWellKnown() == exprpb.Type_TIMESTAMP {
		return edge.TypeTime
	}
	if list := t.GetListType(); list.GetElemType().GetPrimitive() == exprpb.Type_STRING {
		return edge.TypeList
	}
	if m := t.GetMapType(); m.GetKeyType().GetPrimitive() == exprpb.Type_STRING && m.GetValueType().GetPrimitive() == exprpb.Type_DOUBLE {
		return edge.TypeMap
	}
	return edge.TypeUnknown
}

// fieldFrom is a case's binding as a field's value.
func fieldFrom(v *exprpb.Value) edge.Value {
	switch kind := v.GetKind().(type) {
	case *exprpb.Value_BoolValue:
		if kind.BoolValue {
			return edge.Value{Type: edge.TypeBool, Int: 1}
		}
		return edge.Value{Type: edge.TypeBool}
	case *exprpb.Value_Int64Value:
		return edge.Value{Type: edge.TypeInt, Int: kind.Int64Value}
	case *exprpb.Value_DoubleValue:
		return edge.Value{Type: edge.TypeFloat, Float: kind.DoubleValue}
	case *exprpb.Value_StringValue:
		return edge.Value{Type: edge.TypeString, Str: kind.StringValue}
	case *exprpb.Value_ListValue:
		list := edge.Value{Type: edge.TypeList}
		for _, element := range kind.ListValue.GetValues() {
			list.List = append(list.List, element.GetStringValue())
		}
		return list
	case *exprpb.Value_MapValue:
		m := edge.Value{Type: edge.TypeMap}
		for _, entry := range kind.MapValue.GetEntries() {
			m.Map = append(m.Map, edge.Entry{Key: entry.GetKey().GetStringValue(), Value: entry.GetValue().GetDoubleValue()})
		}
		return m
	}
	return edge.Value{}
}

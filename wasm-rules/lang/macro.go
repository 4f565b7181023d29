// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/nearside/nearside/edge"
)

// Functions of the language that CEL does not have.
const (
	fnLowerASCII = "lowerAscii"
	fnHash       = "hash"
	fnDistance   = "distanceKm"
	fnSeen       = "seen"
	fnBought     = "bought"
	fnCount      = "count"
	fnAudience   = "inAudience"
)

// uses says how our functions are called, for hints.
var uses = map[string]string{
	fnHash:     `hash("salt") with a text in quotes`,
	fnDistance: "distanceKm(48.85, 2.35): latitude and longitude as numbers",
	fnSeen:     `seen("sku-7")`,
	fnBought:   `bought("sku-7")`,
	fnCount:    `count("view_item", "7d"): an event and 1d to 90d, in quotes`,
	fnAudience: `inAudience("name") with an audience's name in quotes`,
}

// macros are the functions that stand for expressions over fields, so that what
// reads the checked expression finds the fields and nothing else:
//
//	seen(item)              item in recent
//	bought(item)            item in bought
//	count("event", "7d")    int(@counts["event/7d"])
//	hash("salt")            hash("salt", @visitor.id)
//	distanceKm(lat, lon)    distanceKm(geo.lat, geo.lon, lat, lon)
//	inAudience("name")      @audience/name
func macros() []cel.Macro {
	return []cel.Macro{
		cel.GlobalMacro(fnSeen, 1, func(f cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
			return f.NewCall(operators.In, args[0], f.NewIdent("recent")), nil
		}),
		cel.GlobalMacro(fnBought, 1, func(f cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
			return f.NewCall(operators.In, args[0], f.NewIdent("bought")), nil
		}),
		cel.GlobalMacro(fnDistance, 2, func(f cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
			lat := f.NewSelect(f.NewIdent("geo"), "lat")
			lon := f.NewSelect(f.NewIdent("geo"), "lon")
			return f.NewCall(fnDistance, lat, lon, args[0], args[1]), nil
		}),
		cel.GlobalMacro(fnHash, 1, func(f cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
			if _, ok := text(args[0]); !ok {
				return nil, f.NewError(args[0].ID(), "write "+uses[fnHash])
			}
			return f.NewCall(fnHash, args[0], f.NewIdent(visitorVar)), nil
		}),
		cel.GlobalMacro(fnCount, 2, expandCount),
		cel.GlobalMacro(fnAudience, 1, func(f cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
			name, ok := text(args[0])
			if !ok {
				return nil, f.NewError(args[0].ID(), "write "+uses[fnAudience])
			}
			return f.NewIdent(audienceVar + name), nil
		}),
	}
}

func expandCount(f cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
	event, ok := text(args[0])
	if !ok || event == "" || len(event) > edge.MaxNameBytes {
		return nil, f.NewError(args[0].ID(), "write "+uses[fnCount])
	}
	window, ok := text(args[1])
	days, good := parseDays(window)
	if !ok || !good {
		return nil, f.NewError(args[1].ID(), "write "+uses[fnCount])
	}
	key := types.String(edge.EventWindow{Event: event, Days: days}.Key())
	return f.NewCall("int", f.NewCall(operators.Index, f.NewIdent(countsVar), f.NewLiteral(key))), nil
}

// parseDays reads a window as an expression writes it, 1d to 90d.
func parseDays(window string) (days int, ok bool) {
	digits, ok := strings.CutSuffix(window, "d")
	days, err := strconv.Atoi(digits)
	return days, ok && err == nil && days >= 1 && days <= edge.MaxWindowDays && strconv.Itoa(days) == digits
}

// text returns the string that an expression is, if it is one in quotes.
func text(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

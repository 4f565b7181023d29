// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/nearside/nearside/edge"
)

// An activation answers cel-go's questions for a name out of a view: no map is
// built, a value is boxed when it is first asked for and kept for the visit. An
// audience is evaluated when it is first asked for and kept as well. It belongs
// to one goroutine.
type activation struct {
	view      *edge.View
	values    [edge.BuiltinFields]ref.Val
	list      edge.Value
	audiences []ref.Val
	programs  []cel.Program // of the audiences
}

// absent is what an unknown value is to cel-go: an error, which && and || take
// in. One for all is cheaper than the one cel-go would make.
var absent = types.NewErr("no such attribute")

// begin makes the activation that of another visit.
func (a *activation) begin(view *edge.View) {
	a.view = view
	clear(a.values[:])
	clear(a.audiences)
}

// Parent implements interpreter.Activation.
func (a *activation) Parent() interpreter.Activation { return nil }

// ResolveName implements interpreter.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	if n := fieldOf(name); n >= 0 {
		v := a.values[n]
		if v == nil {
			v = box(kept(a.view, n, &a.list))
			a.values[n] = v
		}
		return v, true
	}
	n := audienceOf(name)
	if n < 0 || n >= len(a.audiences) {
		return nil, false
	}
	if a.audiences[n] == nil {
		v, _, err := a.programs[n].Eval(a)
		if err != nil {
			v = absent
		}
		a.audiences[n] = v
	}
	return a.audiences[n], true
}

// kept is a field's value in memory that stays as long as the visit: only lists
// have to be copied for that, into.
func kept(view *edge.View, n edge.FieldNumber, into *edge.Value) *edge.Value {
	if v := view.Peek(n); v.Type < edge.TypeList {
		return v
	}
	*into = view.Value(n)
	return into
}

// fieldOf is the number of a field that conditions ask about, -1 for another
// name.
func fieldOf(name string) edge.FieldNumber {
	switch name {
	case "page.path":
		return edge.FieldPagePath
	case "page.type":
		return edge.FieldPageType
	case "page.category":
		return edge.FieldPageCategory
	case "page.tags":
		return edge.FieldPageTags
	case "page.title":
		return edge.FieldPageTitle
	case "page.item":
		return edge.FieldPageItem
	case "geo.country":
		return edge.FieldCountry
	case "geo.region":
		return edge.FieldRegion
	case "geo.city":
		return edge.FieldCity
	case "geo.lat":
		return edge.FieldLat
	case "geo.lon":
		return edge.FieldLon
	case "device.type":
		return edge.FieldDeviceType
	case "device.model":
		return edge.FieldDeviceModel
	case "viewport":
		return edge.FieldViewport
	case "time.hour":
		return edge.FieldHour
	case "time.weekday":
		return edge.FieldWeekday
	case "now":
		return edge.FieldNow
	}
	return visitorFieldOf(name)
}

// visitorFieldOf is fieldOf for what is known of source and visitor.
func visitorFieldOf(name string) edge.FieldNumber {
	switch name {
	case "source.channel":
		return edge.FieldSourceChannel
	case "source.campaign":
		return edge.FieldSourceCampaign
	case "utm.medium":
		return edge.FieldUTMMedium
	case "utm.campaign":
		return edge.FieldUTMCampaign
	case "ref.host":
		return edge.FieldRefHost
	case "visitor.visits":
		return edge.FieldVisits
	case "visitor.returning":
		return edge.FieldReturning
	case "visitor.days_since":
		return edge.FieldDaysSince
	case "visitor.id":
		return edge.FieldVisitorID
	case "interests":
		return edge.FieldInterests
	case "counters":
		return edge.FieldCounters
	case "counts":
		return edge.FieldCounts
	case "recent":
		return edge.FieldRecent
	case "bought":
		return edge.FieldBought
	case "cart":
		return edge.FieldCart
	}
	return -1
}

// audienceOf is the number of an audience, in the order of newRuleSet.
func audienceOf(name string) int {
	switch name {
	case "audience.loyal":
		return 0
	case "audience.lapsed":
		return 1
	case "audience.browsers":
		return 2
	case "audience.locals":
		return 3
	case "audience.mobile":
		return 4
	case "audience.campaigners":
		return 5
	case "audience.collectors":
		return 6
	case "audience.newcomers":
		return 7
	}
	return -1
}

// box is a value as cel-go knows it.
func box(v *edge.Value) ref.Val {
	switch v.Type {
	case edge.TypeInt:
		return types.Int(v.Int)
	case edge.TypeFloat:
		return types.Double(v.Float)
	case edge.TypeBool:
		return types.Bool(v.Int != 0)
	case edge.TypeTime:
		return types.Timestamp{Time: time.UnixMilli(v.Int).UTC()}
	case edge.TypeString:
		return types.String(v.Str)
	case edge.TypeList:
		return texts{list: v.List}
	case edge.TypeItems:
		return things{list: v.Items}
	case edge.TypeMap:
		return entries{list: v.Map}
	}
	return absent
}

// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"math"
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"

	"github.com/nearside/nearside/edge"
)

// rulesPerSlot is how many rules a slot has where rules are only evaluated.
const rulesPerSlot = 50

// An outcome is what an engine says of a visit: which rules of each slot hold, a
// bit a rule, and in a decision which one wins, -1 for none.
type outcome struct {
	held    [20]uint64
	winners [slots]int
}

func (o *outcome) hold(i int) { o.held[i/rulesPerSlot] |= 1 << (i % rulesPerSlot) }

func (o *outcome) holds(i int) bool { return o.held[i/rulesPerSlot]>>(i%rulesPerSlot)&1 == 1 }

// compete lets a rule that holds compete for its slot: the higher score wins,
// of equal ones the earlier rule.
func (o *outcome) compete(best *[slots]int64, i int, score int64) {
	if slot := i / perSlot; o.winners[slot] < 0 || score > best[slot] {
		o.winners[slot], best[slot] = i%perSlot, score
	}
}

// nobody is the winners before anyone competes.
var nobody = [slots]int{-1, -1, -1}

// kilometres is the haversine distance for the peers, with the radius that the
// rule language has.
func kilometres(lat1, lon1, lat2, lon2 float64) float64 {
	const radius, degree = 6371.0088, math.Pi / 180
	a, b := math.Sin((lat2-lat1)*degree/2), math.Sin((lon2-lon1)*degree/2)
	h := a*a + math.Cos(lat1*degree)*math.Cos(lat2*degree)*b*b
	return 2 * radius * math.Asin(min(1, math.Sqrt(h)))
}

// celEnv declares the fields that conditions ask about, the audiences, and the
// functions that CEL does not have.
func celEnv(t testing.TB, set *ruleSet) *cel.Env {
	t.Helper()
	registry, err := types.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	options := []cel.EnvOption{
		cel.CustomTypeAdapter(registry), cel.CustomTypeProvider(itemProvider{registry}), ext.Strings(),
		cel.Function("distanceKm", cel.Overload("distance_km", []*cel.Type{cel.DoubleType, cel.DoubleType, cel.DoubleType, cel.DoubleType}, cel.DoubleType,
			cel.FunctionBinding(func(v ...ref.Val) ref.Val {
				at := func(i int) float64 { return float64(v[i].(types.Double)) }
				return types.Double(kilometres(at(0), at(1), at(2), at(3)))
			}))),
		cel.Function("hash", cel.Overload("hash_salt", []*cel.Type{cel.StringType, cel.StringType}, cel.IntType,
			cel.BinaryBinding(func(salt, id ref.Val) ref.Val {
				return types.Int(edge.Bucket(string(salt.(types.String)), string(id.(types.String))))
			}))),
	}
	kinds := map[edge.Type]*cel.Type{
		edge.TypeInt: cel.IntType, edge.TypeFloat: cel.DoubleType, edge.TypeBool: cel.BoolType, edge.TypeTime: cel.TimestampType,
		edge.TypeString: cel.StringType, edge.TypeList: cel.ListType(cel.StringType), edge.TypeItems: cel.ListType(itemType),
		edge.TypeMap: cel.MapType(cel.StringType, cel.DoubleType),
	}
	for _, f := range edge.Fields() {
		options = append(options, cel.Variable(f.Name, kinds[f.Type]))
	}
	for _, a := range set.audiences {
		options = append(options, cel.Variable(inCEL.audience(a.name), cel.BoolType))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// celPrograms compiles texts.
func celPrograms(t testing.TB, env *cel.Env, texts []string) []cel.Program {
	t.Helper()
	var out []cel.Program
	for _, text := range texts {
		checked, issues := env.Compile(text)
		if issues.Err() != nil {
			t.Fatal(issues.Err())
		}
		program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, program)
	}
	return out
}

// texts are a rule set's conditions and scores, and the audiences, in one
// spelling.
func (set *ruleSet) texts(s spelling) (whens, scores, audiences []string) {
	for _, r := range set.rules {
		whens = append(whens, s.text(r.when))
		if r.score.perWeekday > 0 {
			scores = append(scores, s.score(r.score))
		}
	}
	for _, a := range set.audiences {
		audiences = append(audiences, s.text(a.when))
	}
	return whens, scores, audiences
}

// A celPeer is a rule set in cel-go: one program a rule.
type celPeer struct{ whens, scores, audiences []cel.Program }

func newCELPeer(t testing.TB, set *ruleSet) *celPeer {
	t.Helper()
	env := celEnv(t, set)
	whens, scores, audiences := set.texts(inCEL)
	return &celPeer{celPrograms(t, env, whens), celPrograms(t, env, scores), celPrograms(t, env, audiences)}
}

// activation makes one for the peer.
func (p *celPeer) activation() *activation {
	return &activation{programs: p.audiences, audiences: make([]ref.Val, len(p.audiences))}
}

// holds evaluates every condition. What ends in an error does not hold.
func (p *celPeer) holds(a *activation, o *outcome) {
	for i, program := range p.whens {
		if v, _, err := program.Eval(a); err == nil && v == types.True {
			o.hold(i)
		}
	}
}

// decides evaluates the conditions, and the scores of those that hold; an
// unknown score is 0.
func (p *celPeer) decides(a *activation, o *outcome) {
	var best [slots]int64
	o.winners = nobody
	for i, program := range p.whens {
		if v, _, err := program.Eval(a); err != nil || v != types.True {
			continue
		}
		score := int64(0)
		if v, _, err := p.scores[i].Eval(a); err == nil {
			score = int64(v.(types.Int))
		}
		o.compete(&best, i, score)
	}
}

// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"encoding/binary"
	"math"
)

// A kind is the type of a node's value.
type kind uint8

const (
	kindBool     kind = iota
	kindInt           // i64
	kindDouble        // f64
	kindText          // i64: offset from the record in the low 32 bits, length above; see foldBit
	kindTime          // i64: milliseconds since the Unix epoch, years 1 to 9999
	kindDuration      // i64: milliseconds
	kindTexts         // a list; i64, as the record refers to it
	kindItems         // the same
	kindMap           // the same
	kindItem          // i32: the element's address, from the record
)

// An op is what a node does. Its operands are args, in this order.
type op uint8

const (
	opConst  op = iota // num, or text
	opError            // neither true nor false, whatever the visit
	opField            // field
	opVar              // what the loop around is at
	opMember           // item; num is the offset in the item's record
	opNot              // condition
	opAnd              // conditions
	opOr               // conditions
	opCond             // condition, value if true, value if false
	opGuard            // value, and others: unknown if one of these is
	opEqual            // values of one kind
	opLess             // values of one kind
	opAtMost           // values of one kind: <=
	opOneOf            // value, and constants without doubles, sorted
	opHas              // list or map, text
	opPrefix           // text, text
	opSuffix           // text, text
	opInside           // text, text that it contains
	opLower            // text
	opSize             // text, list or map
	opAdd              // numbers or durations, or time and duration
	opSub              // the same, or time and time
	opMul              // numbers
	opDiv              // numbers
	opMod              // numbers
	opNeg              // number
	opInt              // double, time (seconds) or duration (nanoseconds)
	opDouble           // int
	opGet              // map, text
	opAt               // list of texts or items, int
	opAny              // list or map, condition on opVar
	opPart             // time or duration; num is a part
	opHash             // text; text is the salt
	opKm               // four doubles
	opList             // values: a list that is written out; folding leaves none
)

// A node is a part of a condition or a score. Equal nodes are one node. It never
// changes once made.
type node struct {
	op    op
	kind  kind
	args  []*node
	num   int64 // opConst: the value, a double's bits; else see op
	text  string
	field *field
	id    int // its place among the builder's nodes
	// open means that it depends on opVar.
	open bool
	// audience means that an audience is told by it: its parts are not mixed with
	// those around it, so that it can be told once for all.
	audience bool
}

func (n *node) isConst() bool { return n.op == opConst }

func (n *node) double() float64 { return math.Float64frombits(uint64(n.num)) }

// isTrue and isFalse report what a condition always is. The numbers 1 and 0 are
// no conditions.
func (n *node) isTrue() bool  { return n.op == opConst && n.kind == kindBool && n.num == 1 }
func (n *node) isFalse() bool { return n.op == opConst && n.kind == kindBool && n.num == 0 }

// A builder makes nodes. What is known before a visit is told at once: its
// methods, in the fold files, return the simplest node that is the same for
// every visit, whether true, false or neither.
type builder struct {
	nodes []*node
	known map[string]*node
	key   []byte
	// nevers are the answers of never.
	nevers map[question]bool
	// left is how many nodes may still be asked for; what is written short and
	// becomes long is refused.
	left int
	// made counts those that were asked for, for all of a document.
	made  int
	onlys map[question]*node // what only said
}

// maxNodes bounds what one expression may become, audiences not counted.
const maxNodes = 20_000

// maxAllNodes bounds what all expressions of a document may become: a second's
// work, and some 100 MB.
const maxAllNodes = 400_000

func newBuilder() *builder {
	return &builder{known: make(map[string]*node), nevers: make(map[question]bool), onlys: make(map[question]*node), left: maxNodes}
}

// make returns the node like n.
func (b *builder) make(n node) *node {
	b.left--
	if b.made++; b.made > maxAllNodes {
		b.left = 0
	}
	key := append(b.key[:0], byte(n.op), byte(n.kind))
	key = binary.AppendVarint(key, n.num)
	for _, arg := range n.args {
		key = binary.AppendUvarint(key, uint64(arg.id)+1)
		n.open = n.open || arg.open && n.op != opAny
	}
	key = append(key, 0)
	if n.field != nil {
		key = append(key, n.field.name...)
		key = append(key, 0)
	}
	key = append(key, n.text...)
	b.key = key
	if known := b.known[string(key)]; known != nil {
		return known
	}
	if n.op == opVar {
		n.open = true
	}
	n.id = len(b.nodes)
	made := &n
	b.nodes = append(b.nodes, made)
	b.known[string(key)] = made
	return made
}

func (b *builder) apply(o op, k kind, args ...*node) *node {
	for _, arg := range args {
		if arg.op == opError {
			return b.unknown(k)
		}
	}
	return b.make(node{op: o, kind: k, args: args})
}

// unknown is what is never known.
func (b *builder) unknown(k kind) *node { return b.make(node{op: opError, kind: k}) }

func (b *builder) bool(v bool) *node {
	if v {
		return b.make(node{op: opConst, kind: kindBool, num: 1})
	}
	return b.make(node{op: opConst, kind: kindBool})
}

func (b *builder) int(v int64) *node { return b.make(node{op: opConst, kind: kindInt, num: v}) }

// number is a constant of a kind that is an i64.
func (b *builder) number(k kind, v int64) *node { return b.make(node{op: opConst, kind: k, num: v}) }

func (b *builder) double(v float64) *node {
	if v != v {
		v = math.NaN() // one NaN: which one it is cannot be seen
	}
	return b.make(node{op: opConst, kind: kindDouble, num: int64(math.Float64bits(v))})
}

func (b *builder) text(v string) *node { return b.make(node{op: opConst, kind: kindText, text: v}) }

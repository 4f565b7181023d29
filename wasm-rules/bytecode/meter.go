// SPDX-License-Identifier: Apache-2.0

package bytecode

// A region is a stretch of a function that pays for itself in one charge, when
// it is entered: the whole function, the body of a loop each time around, an arm
// of an if, or what follows a block that nobody falls out of, which is a case of
// a switch. It pays for everything inside it but for the regions in it, whether
// that runs or not, so a call never costs less than it should.
type region struct {
	after  int // number of the instruction it follows, -1 for the function's start
	cost   int
	parent int // the region around it, -1 for a function and for a loop
}

// foldCost is what an arm or a case may cost without a charge of its own: less
// than the charge itself takes. The region around it pays.
const foldCost = 16

// regions divides the code that d is about to read. They come in the order of
// their code; those that are left to the one around them cost nothing.
func regions(d *decoder) []region {
	all := []region{{after: -1, parent: -1, cost: 2}}
	current, leaves := 0, false
	var around []int // of the blocks that are open
	begin := func(i, parent, cost int) {
		all = append(all, region{i, cost, parent})
		current = len(all) - 1
	}
	for i := 0; d.left() > 0; i++ {
		in := d.next()
		all[current].cost += in.cost
		switch in.op {
		case opBlock:
			around = append(around, current)
		case opLoop:
			around = append(around, current)
			begin(i, -1, 1)
		case opIf:
			around = append(around, current)
			begin(i, current, 0)
		case opElse:
			begin(i, around[len(around)-1], 0)
		case opEnd:
			if len(around) == 0 {
				break
			}
			current = around[len(around)-1]
			around = around[:len(around)-1]
			if leaves {
				begin(i, current, 0)
			}
		}
		leaves = in.op == opUnreachable || in.op == opBr || in.op == opBrTable || in.op == opReturn
	}
	for i := len(all) - 1; i >= 0; i-- {
		if r := &all[i]; r.parent >= 0 && r.cost <= foldCost {
			all[r.parent].cost += r.cost
			r.cost = 0
		}
	}
	return all
}

// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"math"
	"math/big"
	"strconv"
	"time"

	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// The years of CEL's timestamps, as seconds of the Unix epoch.
const (
	minUnixSecond = -62135596800 // 0001-01-01T00:00:00Z
	maxUnixSecond = 253402300799 // 9999-12-31T23:59:59Z
)

// nanoseconds of the Unix epoch, which fit no int64 for far years.
func nanoseconds(t time.Time) *big.Int {
	n := big.NewInt(t.Unix())
	n.Mul(n, big.NewInt(int64(time.Second)))
	return n.Add(n, big.NewInt(int64(t.Nanosecond())))
}

// times adds and subtracts timestamps and durations, in nanoseconds.
func times(operator string, a, b any) any {
	var x, y *big.Int
	points := 0 // timestamps among a and b
	for i, v := range []any{a, b} {
		var n *big.Int
		switch v := v.(type) {
		case time.Time:
			n = nanoseconds(v)
			points++
		case time.Duration:
			n = big.NewInt(int64(v))
		default:
			return nil
		}
		if i == 0 {
			x = n
		} else {
			y = n
		}
	}
	z := new(big.Int)
	switch operator {
	case operators.Add:
		z.Add(x, y)
	case operators.Subtract:
		if points == 1 && y.Cmp(big.NewInt(math.MinInt64)) == 0 {
			return nil // CEL adds the negative, which does not fit
		}
		z.Sub(x, y)
	default:
		return nil
	}
	if points == 1 {
		return timestamp(z)
	}
	if !z.IsInt64() {
		return nil
	}
	return time.Duration(z.Int64())
}

// timestamp is the time that many nanoseconds after the epoch, nil outside the
// years of CEL.
func timestamp(nanos *big.Int) any {
	second, rest := new(big.Int).DivMod(nanos, big.NewInt(int64(time.Second)), new(big.Int))
	if !second.IsInt64() || second.Int64() < minUnixSecond || second.Int64() > maxUnixSecond {
		return nil
	}
	return time.Unix(second.Int64(), rest.Int64()).UTC()
}

// getPart is x.getHours() and its kin, in UTC.
func getPart(name string, v any) any {
	switch v := v.(type) {
	case time.Time:
		return calendarPart(name, v.UTC())
	case time.Duration:
		switch name {
		case "getHours":
			return int64(v / time.Hour)
		case "getMinutes":
			return int64(v / time.Minute)
		case "getSeconds":
			return int64(v / time.Second)
		case "getMilliseconds":
			return int64(v / time.Millisecond)
		}
	}
	return nil
}

func calendarPart(name string, t time.Time) any {
	switch name {
	case "getFullYear":
		return int64(t.Year())
	case "getMonth": // from 0
		return int64(t.Month()) - 1
	case "getDayOfYear": // from 0
		return int64(t.YearDay()) - 1
	case "getDayOfMonth": // from 0
		return int64(t.Day()) - 1
	case "getDate": // from 1
		return int64(t.Day())
	case "getDayOfWeek": // from Sunday
		return int64(t.Weekday())
	case "getHours":
		return int64(t.Hour())
	case "getMinutes":
		return int64(t.Minute())
	case "getSeconds":
		return int64(t.Second())
	case "getMilliseconds":
		return int64(t.Nanosecond()) / int64(time.Millisecond)
	}
	return nil
}

// convert is int(x) and its kin.
func convert(to string, v any) any {
	switch to {
	case "int":
		return toInt(v)
	case "double":
		switch v := v.(type) {
		case float64:
			return v
		case int64:
			return float64(v)
		case string:
			if f, err := strconv.ParseFloat(v, 64); err == nil {
				return f
			}
		}
	case "bool":
		if v, ok := v.(bool); ok {
			return v
		}
	case "timestamp":
		switch v := v.(type) {
		case time.Time:
			return v
		case int64:
			return timestamp(new(big.Int).Mul(big.NewInt(v), big.NewInt(int64(time.Second))))
		case string:
			return literal(types.String(v).ConvertToType(types.TimestampType))
		}
	case "duration":
		switch v := v.(type) {
		case time.Duration:
			return v
		case string:
			return literal(types.String(v).ConvertToType(types.DurationType))
		}
	}
	return nil
}

// toInt cuts a double towards 0, gives a timestamp's seconds and a duration's
// nanoseconds.
func toInt(v any) any {
	switch v := v.(type) {
	case int64:
		return v
	case float64:
		if v > math.MinInt64 && v < math.MaxInt64 { // so it is not NaN either
			return int64(v)
		}
	case time.Time:
		return v.Unix()
	case time.Duration:
		return int64(v)
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return n
		}
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"fmt"
	"reflect"
)

// LeftInDecider names what a work space that was given back still holds: any text, any
// bytes that are not zero and any pointer, in lists up to their capacity. Views keep the
// bytes of their records, which are written over before they are read.
func LeftInDecider() []string {
	d := deciders.Get().(*decider)
	defer deciders.Put(d)
	var left []string
	look(reflect.ValueOf(d).Elem(), "decider", &left)
	return left
}

func look(v reflect.Value, at string, left *[]string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "record" || v.Type() != reflect.TypeFor[View]() {
				look(v.Field(i), at+"."+name, left)
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice {
			v = v.Slice(0, v.Cap())
		}
		for i := range v.Len() {
			if of := v.Index(i); of.Type() != reflect.TypeFor[byte]() {
				look(of, fmt.Sprintf("%s[%d]", at, i), left)
			} else if of.Uint() != 0 {
				*left = append(*left, at)
				break
			}
		}
	case reflect.String, reflect.Pointer, reflect.Map, reflect.Func, reflect.Interface:
		if !v.IsZero() {
			*left = append(*left, at)
		}
	}
}

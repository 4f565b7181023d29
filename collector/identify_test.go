// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
)

// A member that says who has signed in is read or is no token: it never refuses a
// beacon.
func TestDecodeIdentify(t *testing.T) {
	long := strings.Repeat("x", edge.MaxIdentityBytes)
	for name, tt := range map[string]struct {
		member, token string
		signOut       bool
	}{
		"none":            {``, "", false},
		"a token":         {`,"identify":"a.b.c"`, "a.b.c", false},
		"null":            {`,"identify":null`, "", true},
		"the longest":     {`,"identify":"` + long + `"`, long, false},
		"too long":        {`,"identify":"` + long + `x"`, badIdentity, false},
		"a number":        {`,"identify":7`, badIdentity, false},
		"an object":       {`,"identify":{"sub":[1,null]}`, badIdentity, false},
		"control":         {`,"identify":"a\u0000b"`, badIdentity, false},
		"null elsewhere":  {`,"why":null,"page":{"id":"identify","title":null}`, "", false},
		"of another name": {`,"x":{"identify":null}`, "", false},
	} {
		var d Decoder
		var b edge.Beacon
		var a ask
		for _, decode := range []func([]byte) error{
			func(body []byte) error { return d.DecodeBeacon(body, &b) },
			func(body []byte) error { return d.decodeDecide(body, &b, &a) },
		} {
			if err := decode([]byte(`{"v":1,"site":"shop"` + tt.member + `}`)); err != nil || b.Identify != tt.token || b.SignOut != tt.signOut {
				t.Errorf("%s: %.20q, signed out %v, %v", name, b.Identify, b.SignOut, err)
			}
		}
	}
	var d Decoder
	var b edge.Beacon
	if err := d.DecodeBeacon([]byte(`{"v":1,"site":"shop","identify":"a`), &b); err == nil {
		t.Error("what is no JSON is a beacon")
	}
}

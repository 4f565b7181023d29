// SPDX-License-Identifier: Apache-2.0

//go:build !race

package collector

import "testing"

// A request in a loop allocates no more than the handler does.
func TestLoopAllocs(t *testing.T) {
	d := newDrill(t, slotsBeacon())
	handler := d.Handler()
	server := testing.AllocsPerRun(100, func() { d.ctx.Response.Reset(); handler(&d.ctx) })
	h := open(t, func(o *Options) {
		o.Tuning.AddressRate, o.Tuning.NetworkRate = Rate{PerSecond: -1}, Rate{PerSecond: -1}
	})
	c := dial(t, h.addr)
	request := []byte(fastCase{head: "Origin: https://shop.example\r\nAccept-Language: fr\r\nUser-Agent: " + desktopAgent + "\r\n", body: string(slotsBeacon())}.text())
	answer := make([]byte, 64<<10)
	ask := func() {
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(answer); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		ask()
	}
	if n := testing.AllocsPerRun(1000, ask); n > server+0.5 {
		t.Errorf("%.2f allocations a request, the server %.2f", n, server)
	}
	if h.inLoops() != 1 {
		t.Error("it was not the loop that answered")
	}
}

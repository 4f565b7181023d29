// SPDX-License-Identifier: Apache-2.0

package traffic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
)

// agentCount is the number of different User-Agents, before doubles.
const agentCount = 1200

// An Agent is a browser: its User-Agent, its client hints if it sends them, and
// the device that it runs on.
type Agent struct {
	Text, brands, mobile, platform string
	device                         string
}

// agents are browsers, each half as frequent as one that stands twice as high
// (Zipf), with the running sum of their weights.
type agents struct {
	all  []Agent
	upTo []float64
}

func newAgents(random *rand.Rand) *agents {
	a := &agents{}
	sum := 0.0
	for i := range agentCount {
		a.all = append(a.all, newAgent(random))
		sum += 1 / math.Pow(float64(i+1), 0.9)
		a.upTo = append(a.upTo, sum)
	}
	return a
}

func (a *agents) pick(random *rand.Rand) Agent {
	at := random.Float64() * a.upTo[len(a.upTo)-1]
	return a.all[sort.SearchFloat64s(a.upTo, at)]
}

// newAgent draws a browser, by the shares that browsers have. Browsers on Chromium
// send hints; Safari and Firefox do not.
func newAgent(random *rand.Rand) Agent {
	v, part := 118+random.IntN(32), random.Float64()
	hints := func(a Agent, mobile, platform string) Agent {
		a.brands = fmt.Sprintf(`"Chromium";v="%d", "Not/A)Brand";v="24", "Google Chrome";v="%d"`, v, v)
		a.mobile, a.platform = mobile, `"`+platform+`"`
		return a
	}
	webkit := func(format string, args ...any) string {
		return "Mozilla/5.0 (" + fmt.Sprintf(format, args...)
	}
	ios, minor := 15+random.IntN(4), random.IntN(7)
	switch {
	case part < .05:
		return hints(Agent{Text: webkit("Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36 Edg/%d.0.%d.%d", v, v, 1800+random.IntN(1100), 10+random.IntN(90)), device: "desktop"}, "?0", "Windows")
	case part < .34:
		return hints(Agent{Text: webkit("Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", v), device: "desktop"}, "?0", "Windows")
	case part < .55:
		return hints(Agent{Text: webkit("Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Mobile Safari/537.36", v), device: "phone"}, "?1", "Android")
	case part < .58:
		return hints(Agent{Text: webkit("Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", v), device: "tablet"}, "?0", "Android")
	case part < .77:
		return Agent{Text: webkit("iPhone; CPU iPhone OS %d_%d like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/%d.%d Mobile/15E148 Safari/604.1", ios, minor, ios, minor), device: "phone"}
	case part < .80:
		return Agent{Text: webkit("iPad; CPU OS %d_%d like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/%d.%d Mobile/15E148 Safari/604.1", ios, minor, ios, minor), device: "tablet"}
	case part < .88:
		return Agent{Text: webkit("Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/%d.%d Safari/605.1.15", ios, minor), device: "desktop"}
	case part < .92:
		return Agent{Text: webkit("X11; Linux x86_64; rv:%d.0) Gecko/20100101 Firefox/%d.0", v, v), device: "desktop"}
	default:
		return Agent{Text: webkit("Linux; Android %d; SAMSUNG SM-A%d5B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/%d.0 Chrome/%d.0.0.0 Mobile Safari/537.36",
			11+random.IntN(5), 10+random.IntN(80), 20+random.IntN(8), v), device: "phone"}
	}
}

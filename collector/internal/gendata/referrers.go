// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// classOf are our classes of the list's media. What is paid stays out: a host
// does not tell a paid click from another, the page's own address does.
var classOf = map[string]string{
	"search": "search", "social": "social", "email": "mail", "referral": "referral", "unknown": "referral",
}

// makeReferrers writes one line a host or Android package: its class, and how
// far it reaches.
//
//	class host     the host and all below it
//	class =host    the host, also behind www, m and the like
//
// The tag sends a referring page's origin alone, so entries that tell pages of
// one host apart by their path are left out.
func makeReferrers(data []byte) ([]byte, error) {
	var list map[string]struct {
		Medium string `json:"medium"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	if len(list) < 1000 {
		return nil, fmt.Errorf("%d entries, fewer than ever", len(list))
	}
	classes := make(map[string]string, len(list))
	for _, name := range slices.Sorted(maps.Keys(list)) {
		host, class := strings.TrimPrefix(strings.ToLower(name), "www."), classOf[list[name].Medium]
		if class != "" && isHost(host) && classes[host] == "" {
			classes[host] = class
		}
	}
	for _, c := range corrections {
		for _, host := range strings.Fields(c.hosts) {
			classes[host] = c.class
		}
	}
	var lines []string
	for host, class := range classes {
		if line := class + " " + reach(host, class); class != implied(classes, host) {
			lines = append(lines, line)
		}
	}
	return join(referrerList.above("Classes of referring hosts: class, then =host (the host itself) or host (and all below it)."), lines), nil
}

func isHost(name string) bool {
	return strings.Contains(name, ".") && !strings.ContainsAny(name, "/ \t")
}

// reach writes a host as far as its class reaches: who is known for searching
// often has mail, maps and documents below the same name.
func reach(host, class string) string {
	if class == "search" && isBrand(host) {
		return "=" + host
	}
	return host
}

// isBrand reports whether a host is a name under a top-level domain, or under a
// national domain of companies: google.fr, google.co.uk.
func isBrand(host string) bool {
	_, domain, _ := strings.Cut(host, ".")
	second, country, deep := strings.Cut(domain, ".")
	return !deep || len(country) == 2 && (len(second) == 2 || second == "com" || second == "net" || second == "org" || second == "edu")
}

// implied returns the class that a host has by the names above it.
func implied(classes map[string]string, host string) string {
	for {
		_, above, found := strings.Cut(host, ".")
		if !found {
			return "referral"
		}
		if class := classes[above]; class != "" && !strings.HasPrefix(reach(above, class), "=") {
			return class
		}
		host = above
	}
}

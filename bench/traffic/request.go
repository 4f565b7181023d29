// SPDX-License-Identifier: Apache-2.0

package traffic

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// A Template is a request to fill in: what is the same each time it is sent.
type Template struct {
	head []byte // up to the number of Content-Length, all of it without a body
	body []byte
	ids  []int // where the 15 digits of an id stand in body
}

// idDigits is the length of the number in an id.
const idDigits = 15

// idMark stands where an id's number goes.
var idMark = strings.Repeat("#", idDigits)

// Append appends the request with a number of its own in its ids and, if there is
// one, the visitor's state.
func (t *Template) Append(out []byte, number uint64, state []byte) []byte {
	out = append(out, t.head...)
	if t.body == nil {
		return out
	}
	size := len(t.body)
	if len(state) > 0 {
		size += len(stateMember) + len(state) + 1
	}
	out = append(strconv.AppendInt(out, int64(size), 10), "\r\n\r\n"...)
	from := len(out)
	out = append(out, t.body...)
	for _, at := range t.ids {
		putNumber(out[from+at:from+at+idDigits], number)
	}
	if len(state) > 0 {
		out = append(append(append(out[:len(out)-1], stateMember...), state...), `"}`...)
	}
	return out
}

const stateMember = `,"state":"`

// putNumber writes a number in hexadecimal digits.
func putNumber(to []byte, number uint64) {
	for i := len(to) - 1; i >= 0; i-- {
		to[i] = "0123456789abcdef"[number&15]
		number >>= 4
	}
}

// NumberOf reads the number of an event's id, false if it is none of ours.
func NumberOf(id string) (uint64, bool) {
	if len(id) != 1+idDigits {
		return 0, false
	}
	n, err := strconv.ParseUint(id[1:], 16, 64)
	return n, err == nil
}

// A Shape is what kind of beacon a visitor sends.
type Shape struct {
	// Path is asked for.
	Path string
	// Granted are purposes, as numbers of the wire.
	Granted int
	// Events and Slots are how many there are of each.
	Events, Slots int
}

// The purposes on the wire.
const (
	GrantsContext  = 4
	GrantsRecorded = 4 | 2 // and measure
	GrantsAll      = 255
)

// Template makes the beacon of a visitor.
func (c *Corpus) Template(visitor int, s Shape) Template {
	v := &c.Visitors[visitor]
	return template(append(v.head("POST", s.Path), "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: "...), v.beacon(s))
}

// Context makes the request of a service that knows its visitor already: twenty
// fields as {"input":{…}}.
func (c *Corpus) Context(visitor int, path string) Template {
	v := &c.Visitors[visitor]
	body, err := json.Marshal(map[string]any{"input": v.context()})
	if err != nil {
		panic(err) // strings only
	}
	return template(fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: near.example\r\nContent-Type: application/json\r\nContent-Length: ", path), string(body))
}

// ByKey makes the question of a site's own server that knows its visitor: the same
// facts as the beacon's, told and not read out of a browser's request.
func (c *Corpus) ByKey(visitor int, path, key string, slots int) Template {
	v := &c.Visitors[visitor]
	body, err := json.Marshal(map[string]any{
		"v": 1, "site": Site, "surface": "web", "slots": Slots[:slots], "consent": map[string]any{"granted": []string{"context"}},
		"address": v.Addr.String(), "device": v.Agent.device, "headers": map[string]string{"Accept-Language": v.Accept},
		"page": map[string]any{"url": Origin + v.Path, "ref": v.Ref, "type": v.PageType, "category": v.Category, "item": v.Item, "lang": "en"},
	})
	if err != nil {
		panic(err) // strings only
	}
	return template(fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: near.example\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: ", path, key), string(body))
}

// Pixel makes the request of an image that counts: what happened is in its address.
// It has no number of its own.
func (c *Corpus) Pixel(visitor int) Template {
	v := &c.Visitors[visitor]
	query := fmt.Sprintf("/p.gif?v=1&site=%s&id=e%015x&name=page_view&url=%s%s&ref=%s&type=%s&category=%s&w=%d", Site, visitor, Origin, v.Path, v.Ref, v.PageType, v.Category, v.Viewport[0])
	return Template{head: append(v.head("GET", query), "\r\n"...)}
}

func template(head []byte, body string) Template {
	t := Template{head: head, body: []byte(body)}
	for from := 0; ; {
		at := strings.Index(body[from:], idMark)
		if at < 0 {
			return t
		}
		t.ids = append(t.ids, from+at)
		from += at + idDigits
	}
}

// head is what a browser sends before the body, behind a proxy that says for whom.
func (v *Visitor) head(method, path string) []byte {
	b := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: near.example\r\nX-Forwarded-For: %s\r\nX-Forwarded-Proto: https\r\n", method, path, v.Addr)
	if v.Agent.platform != "" {
		b = fmt.Appendf(b, "sec-ch-ua-platform: %s\r\n", v.Agent.platform)
	}
	b = fmt.Appendf(b, "User-Agent: %s\r\n", v.Agent.Text)
	if v.Agent.platform != "" {
		b = fmt.Appendf(b, "sec-ch-ua: %s\r\nsec-ch-ua-mobile: %s\r\n", v.Agent.brands, v.Agent.mobile)
	}
	return fmt.Appendf(b, "Accept: */*\r\nOrigin: %s\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"+
		"Referer: %s/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: %s\r\n", Origin, Origin, v.Accept)
}

// beacon is the body that the tag would send.
func (v *Visitor) beacon(s Shape) string {
	var b strings.Builder
	quote := func(text string) string {
		q, _ := json.Marshal(text)
		return string(q)
	}
	fmt.Fprintf(&b, `{"v":1,"site":"%s","page":{"id":"p%s","url":"%s%s?utm_source=news&utm_campaign=autumn","ref":%s,"title":"%s for every weather","type":"%s","category":"%s","tags":["felt","wool"],"item":"%s","lang":"en"},"sent":1795305600900,`,
		Site, idMark, Origin, v.Path, quote(v.Ref), v.Category, v.PageType, v.Category, v.Item)
	fmt.Fprintf(&b, `"consent":{"purposes":%d,"policy":"strict","owner":{"granted":%d,"refused":%d},"gpc":false},`, s.Granted, s.Granted, 255&^s.Granted)
	langs, _ := json.Marshal(v.Langs)
	fmt.Fprintf(&b, `"client":{"langs":%s,"viewport":[%d,%d]},"events":[`, langs, v.Viewport[0], v.Viewport[1])
	for i := range s.Events {
		fmt.Fprintf(&b, `%s{"id":"%c%s","name":"page_view","at":1795305600000,"props":{"weather":"%s"}}`, comma(i), 'e'+rune(i), idMark, words[i%len(words)])
	}
	b.WriteString(`]`)
	for i, slot := range Slots[:s.Slots] {
		if i == 0 {
			b.WriteString(`,"slots":[`)
		}
		fmt.Fprintf(&b, `%s"%s"`, comma(i), slot)
		if i == s.Slots-1 {
			b.WriteString(`]`)
		}
	}
	b.WriteString(`}`)
	return b.String()
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

// context are the twenty fields of a visitor. Rules read six of them.
func (v *Visitor) context() map[string]string {
	os := "other"
	if len(v.Agent.platform) > 2 {
		os = strings.Trim(v.Agent.platform, `"`)
	}
	return map[string]string{
		"visitor": v.ID, "site": Site, "surface": "web", "path": v.Path, "page_type": v.PageType, "page_category": v.Category,
		"page_item": v.Item, "lang": v.Lang, "accept": v.Accept, "device_type": v.Agent.device, "os": os, "geo_country": v.Country,
		"region": "", "source_channel": v.Channel, "ref": v.Ref, "campaign": "autumn", "hour": "14", "weekday": "fri",
		"viewport": strconv.Itoa(v.Viewport[0]), "consent": "context",
	}
}

// contextName is a field's name in the context.
func contextName(field string) string { return strings.ReplaceAll(field, ".", "_") }

// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// Limits of a release document.
const (
	maxReleaseSlots    = 256
	maxReleaseVariants = 4096
	maxReleaseModules  = 256
	maxReleaseRules    = 64 // with modules, in one slot
	maxReleaseLangs    = 64
	maxReleaseLoads    = 256 // modules, counted again for each of their settings
)

var (
	ownFieldPattern = regexp.MustCompile(`^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$`)
	langPattern     = regexp.MustCompile(`^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$`)
	hashPattern     = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// reservedWords are the stored event's own members and the built-in fields of
// one word: an own field must not start with one.
var reservedWords = []string{
	"v", "id", "name", "at", "site", "node", "received", "view", "visitor", "session", "profile",
	"system", "origin", "origins", "purposes", "consent", "release", "bot", "decision", "items", "value", "currency", "props",
	"stage", "intent", "orders", "day", "hour", "lang", "surface", "viewport", "screen", "tz", "interests", "counters", "recent", "bought", "cart", "now", "counts",
}

const validityLayout = "2006-01-02T15:04"

// CompileRelease checks a release document, compiles its content and binds its
// modules. Everything that is wrong is reported at once; nothing is published.
func CompileRelease(document []byte, loader RuleLoader) (*Release, error) {
	return compileRelease(document, &compiler{loader: loader})
}

func compileRelease(document []byte, c *compiler) (*Release, error) {
	if len(document) > MaxReleaseBytes {
		return nil, fmt.Errorf("release: %d bytes, at most %d", len(document), MaxReleaseBytes)
	}
	r := &Release{counting: &counting{}}
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r.doc); err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	c.release = r
	c.settings()
	c.fields()
	variants := c.variants()
	c.plans()
	c.modules()
	c.slots(variants)
	c.codeless(variants)
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	return r, nil
}

// A compiler turns a document into a Release and collects what is wrong.
type compiler struct {
	release *Release
	loader  RuleLoader
	bound   map[string]int       // field numbers of the site's own fields
	refs    map[string]ModuleRef // by name@version, and by name where it has one version
	rules   map[string]Rule      // by name@version and settings
	errs    []error
	limits  int // caps so far
	// partly lets a module that cannot be loaded cost its own rules only; missing
	// says which and why.
	partly  bool
	missing []error
}

func (c *compiler) bad(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("release: "+format, args...))
}

func (c *compiler) settings() {
	doc := &c.release.doc
	if doc.Schema != ReleaseSchema {
		c.bad("schema %d is not supported, want %d", doc.Schema, ReleaseSchema)
	}
	if !ValidSite(doc.Site) {
		c.bad("site %q is not lower-case words joined by dashes, at most %d characters", doc.Site, MaxSiteBytes)
	}
	if len(doc.Settings.Origins) == 0 {
		c.bad("settings.origins is empty: no page could send a beacon")
	}
	for _, o := range doc.Settings.Origins {
		u, err := url.Parse(o)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || o != u.Scheme+"://"+u.Host {
			c.bad("settings.origins: %q is not scheme://host[:port]", o)
		}
	}
	if n := len(doc.Settings.Languages); n == 0 || n > maxReleaseLangs {
		c.bad("settings.languages: %d, want 1 to %d", n, maxReleaseLangs)
	}
	for _, l := range doc.Settings.Languages {
		if !langPattern.MatchString(l) {
			c.bad("settings.languages: %q is not a language like en, pt-BR or zh-Hans", l)
		}
	}
	zone, err := time.LoadLocation(doc.Settings.TimeZone) // "" is UTC
	if err != nil || doc.Settings.TimeZone == "Local" {
		c.bad("settings.timezone: %.64q is not an IANA time zone; %s", doc.Settings.TimeZone, zoneHint(doc.Settings.TimeZone))
	}
	c.release.zone, c.release.zoneKey = zone, eventKey(zone.String())
	days := doc.Settings.RetainDays
	if days == 0 {
		days = DefaultRetainDays
	}
	if days < 1 || days > MaxRetainDays {
		c.bad("settings.retainDays: %d, want 1 to %d", days, MaxRetainDays)
	}
	c.release.retain = time.Duration(days) * 24 * time.Hour
	if days = doc.Settings.ProfileDays; days == 0 {
		days = DefaultProfileDays
	}
	if days < 1 || days > MaxProfileDays {
		c.bad("settings.profileDays: %d, want 1 to %d", days, MaxProfileDays)
	}
	c.release.keep = time.Duration(days) * 24 * time.Hour
	if n := len(doc.Settings.Prompts); n > maxPrompts {
		c.bad("settings.prompts: %d, at most %d", n, maxPrompts)
	}
	c.caps()
	for _, version := range doc.Settings.Prompts {
		if !ValidPrompt(version) {
			c.bad("settings.prompts: %.64q is not lower-case words joined by dashes, at most %d characters", version, MaxPromptBytes)
		}
	}
}

func (c *compiler) fields() {
	r := c.release
	if n := len(r.doc.Fields); BuiltinFields+n > MaxFields {
		c.bad("fields: %d, at most %d", n, MaxFields-BuiltinFields)
		return
	}
	for i, spec := range r.doc.Fields {
		f := ownField{
			Field: Field{Number: FieldNumber(BuiltinFields + i), Name: spec.Name, Type: ParseType(spec.Type)},
			event: spec.Event, prop: spec.Prop, origin: spec.Origin,
		}
		if !ownFieldPattern.MatchString(spec.Name) {
			c.bad("fields: %q is not like shop.season", spec.Name)
		}
		if _, taken := r.fieldNumber(spec.Name); taken {
			c.bad("fields: %q is declared already", spec.Name)
		}
		if first, _, _ := strings.Cut(spec.Name, "."); slices.Contains(reservedWords, first) {
			c.bad("fields: %q: %q is a member of every event, choose another first word", spec.Name, first)
		}
		p, err := consent.ParsePurposes(spec.Purpose)
		if err != nil {
			c.bad("fields: %q: purpose: %v", spec.Name, err)
		}
		f.Purpose = p
		if !slices.Contains(Origins[:], spec.Origin) {
			c.bad("fields: %q: origin %q is not first, second, third or zero", spec.Name, spec.Origin)
		}
		c.fieldSource(&f, spec)
		r.ownProps = r.ownProps || f.source != fromSettings
		r.answers = r.answers || f.source == fromAnswer
		r.told = r.told || f.source >= fromProfile
		r.own = append(r.own, f)
	}
	for granted := range r.allowed {
		for n := range FieldNumber(BuiltinFields + len(r.own)) {
			if consent.Purposes(granted).Has(r.field(n).Purpose) {
				r.allowed[granted] = r.allowed[granted].With(n)
			}
		}
	}
	for n := range FieldNumber(BuiltinFields + len(r.own)) {
		if f := r.field(n); f.Purpose != consent.Personalise && !f.Internal() && n != FieldNow {
			r.eventSet = r.eventSet.With(n)
		}
	}
	r.eventFields = newEventFields(r, r.eventSet)
}

// fieldSource checks where an own field's value comes from.
func (c *compiler) fieldSource(f *ownField, spec OwnField) {
	switch f.Type {
	case TypeInt, TypeFloat, TypeBool, TypeString, TypeList:
	default:
		c.bad("fields: %q: type %q is not i64, f64, bool, string or list", spec.Name, spec.Type)
		return
	}
	f.source = fieldSources[spec.From]
	if kept := spec.From == "profile" || spec.From == "answer"; !kept && spec.ExpireDays != 0 {
		c.bad("fields: %q: expireDays is for fields from profile or answer", spec.Name)
	} else if spec.ExpireDays < 0 || spec.ExpireDays > MaxProfileDays {
		c.bad("fields: %q: expireDays: %d, want 1 to %d", spec.Name, spec.ExpireDays, MaxProfileDays)
	} else if kept && len(spec.Name) > maxOwnName {
		c.bad("fields: %q: the name has more than %d characters", spec.Name, maxOwnName)
	}
	f.expire = time.Duration(spec.ExpireDays) * 24 * time.Hour
	switch spec.From {
	case "settings":
		f.fixed = parseValue(f.Type, spec.Value)
		if !f.fixed.Known() {
			c.bad("fields: %q: value is not a %s", spec.Name, f.Type)
		}
	case "event", "profile":
		if spec.Event == "" || spec.Prop == "" {
			c.bad("fields: %q: event and prop must be given", spec.Name)
		}
	case "answer":
		f.event = AnswerEvent
		if spec.Prop == "" || spec.Event != "" && spec.Event != AnswerEvent {
			c.bad("fields: %q: prop must be given, and event is %s or left out", spec.Name, AnswerEvent)
		}
		if spec.Origin != "zero" {
			c.bad("fields: %q: origin %q: what comes from answer is of origin zero", spec.Name, spec.Origin)
		}
	default:
		c.bad("fields: %q: from %q is not settings, event, profile or answer", spec.Name, spec.From)
	}
}

// zoneHint is what is mostly meant by a name that is no time zone's: its parts the
// other way round, or a city without its continent.
func zoneHint(name string) string {
	name = strings.ReplaceAll(name, " ", "_")
	var near []string
	if city, area, ok := strings.Cut(name, "/"); ok {
		near = []string{area + "/" + city}
	} else {
		for _, area := range []string{"Europe", "America", "Asia", "Africa", "Australia", "Pacific", "Atlantic", "Indian"} {
			near = append(near, area+"/"+name)
		}
	}
	for _, zone := range append(near, name) {
		if _, err := time.LoadLocation(zone); err == nil && zone != "Local" && name != "" {
			return "did you mean " + zone + "?"
		}
	}
	return "write it like Europe/Berlin"
}

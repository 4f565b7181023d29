// SPDX-License-Identifier: Apache-2.0

package edge

import "github.com/nearside/nearside/edge/consent"

// A FieldNumber is a field's stable number: its bit in a record's presence
// words and its slot in the record. Built-in fields come first, a site's own
// fields follow in the order of its release.
type FieldNumber int

// MaxFields bounds built-in and own fields together.
const MaxFields = 256

// A Field is one named, typed value of a visit with the purpose that unlocks
// it.
type Field struct {
	Number  FieldNumber
	Name    string // wire name, as rules and site files spell it
	Type    Type
	Purpose consent.Purposes // 0: always allowed
	// Text says what the value is, for the privacy page and rule authors.
	Text string

	// read sets to, which is unknown, to the field's value if that is known: its
	// Type and the member that this names. Lists are written into to's own memory.
	read func(v *Visit, to *Value)
}

// Internal reports whether only compiled rules read the field, through a
// function of their language: an uploaded module cannot declare it, and no event
// carries it.
func (f *Field) Internal() bool { return f.Number == FieldVisitorID }

// The built-in fields' numbers. They are part of the rule ABI: append, never
// reorder or reuse.
const (
	FieldPagePath FieldNumber = iota
	FieldPageType
	FieldPageCategory
	FieldPageTags
	FieldPageItem
	FieldLang
	FieldDeviceType
	FieldCountry
	FieldRegion
	FieldCity
	FieldHour
	FieldWeekday
	FieldRefClass
	FieldSourceChannel
	FieldSurface
	FieldRefHost
	FieldSourceCampaign
	FieldUTMSource
	FieldUTMMedium
	FieldUTMCampaign
	FieldUTMTerm
	FieldUTMContent
	FieldViewport
	FieldReturning
	FieldVisits
	FieldDaysSince
	FieldInterests
	FieldCounters
	FieldRecent
	FieldBought
	FieldCart
	FieldClickID
	FieldLat
	FieldLon
	FieldPostcode
	FieldDeviceModel
	FieldOSVersion
	FieldScreen
	FieldTimeZone
	FieldPageTitle
	FieldPageHost
	FieldNow
	FieldVisitorID
	FieldCounts
	FieldStage
	FieldIntent
	FieldDayInterests
	FieldHourInterests
	FieldDayCounters
	FieldHourCounters
	FieldOrders
	FieldDaysSinceOrder
	FieldSessionMinutes

	builtinFields
)

// BuiltinFields is how many built-in fields this version knows.
const BuiltinFields = int(builtinFields)

// FirstBuiltinFields is how many built-in fields there were when records were
// first kept. A record made since then is read with the numbers of its time.
const FirstBuiltinFields = int(FieldPageHost) + 1

// fields is the one table of built-in fields. The rule record, the privacy
// page, the rule language and the guest SDKs follow from it.
var fields = [builtinFields]Field{
	{FieldPagePath, "page.path", TypeString, 0, "path of the page, without query", func(v *Visit, to *Value) { to.setText(v.Page.Path) }},
	{FieldPageType, "page.type", TypeString, consent.Context, "type of the page, as the site names it", func(v *Visit, to *Value) { to.setText(v.Page.Type) }},
	{FieldPageCategory, "page.category", TypeString, consent.Context, "category of the page, as the site names it", func(v *Visit, to *Value) { to.setText(v.Page.Category) }},
	{FieldPageTags, "page.tags", TypeList, consent.Context, "tags of the page, as the site names them", func(v *Visit, to *Value) { to.setList(v.Page.Tags) }},
	{FieldPageItem, "page.item", TypeString, consent.Context, "item the page shows", func(v *Visit, to *Value) { to.setText(v.Page.Item) }},
	{FieldLang, "lang", TypeString, consent.Context, "the site's language that suits the visitor best (BCP 47)", func(v *Visit, to *Value) { to.setText(v.Lang) }},
	{FieldDeviceType, "device.type", TypeString, consent.Context, "phone, tablet, desktop, tv or other", func(v *Visit, to *Value) { to.setText(v.Device.Type) }},
	{FieldCountry, "geo.country", TypeString, consent.Context, "country of the truncated address (ISO 3166-1 alpha-2)", func(v *Visit, to *Value) { to.setText(v.Place.Country) }},
	{FieldRegion, "geo.region", TypeString, consent.Context, "subdivision of the truncated address (ISO 3166-2 part)", func(v *Visit, to *Value) { to.setText(v.Place.Region) }},
	{FieldCity, "geo.city", TypeString, consent.Context, "city of the truncated address, in English", func(v *Visit, to *Value) { to.setText(v.Place.City) }},
	{FieldHour, "time.hour", TypeInt, consent.Context, "local hour where the visitor is, 0 to 23", (*Visit).hour},
	{FieldWeekday, "time.weekday", TypeInt, consent.Context, "local day of the week, 1 Monday to 7 Sunday", (*Visit).weekday},
	{FieldRefClass, "ref.class", TypeString, consent.Context, "class of the referring page: search, social, mail, referral, internal or direct", func(v *Visit, to *Value) { to.setText(v.Ref.Class) }},
	{FieldSourceChannel, "source.channel", TypeString, consent.Context, "where the visit came from: search, social, mail, ads, referral or direct; unknown where a refusal hides what tells it", func(v *Visit, to *Value) { to.setText(v.Source.Channel) }},
	{FieldSurface, "surface", TypeString, consent.Context, "where the answer is shown: web, app, mail, search or service", func(v *Visit, to *Value) { to.setText(v.Surface) }},
	{FieldRefHost, "ref.host", TypeString, consent.Measure, "host of the referring page", func(v *Visit, to *Value) { to.setText(v.Ref.Host) }},
	{FieldSourceCampaign, "source.campaign", TypeString, consent.Measure, "campaign that brought the visit", func(v *Visit, to *Value) { to.setText(v.Source.Campaign) }},
	{FieldUTMSource, "utm.source", TypeString, consent.Measure, "utm_source of the page's address", func(v *Visit, to *Value) { to.setText(v.Source.UTM.Source) }},
	{FieldUTMMedium, "utm.medium", TypeString, consent.Measure, "utm_medium of the page's address", func(v *Visit, to *Value) { to.setText(v.Source.UTM.Medium) }},
	{FieldUTMCampaign, "utm.campaign", TypeString, consent.Measure, "utm_campaign of the page's address", func(v *Visit, to *Value) { to.setText(v.Source.UTM.Campaign) }},
	{FieldUTMTerm, "utm.term", TypeString, consent.Measure, "utm_term of the page's address", func(v *Visit, to *Value) { to.setText(v.Source.UTM.Term) }},
	{FieldUTMContent, "utm.content", TypeString, consent.Measure, "utm_content of the page's address", func(v *Visit, to *Value) { to.setText(v.Source.UTM.Content) }},
	{FieldViewport, "viewport", TypeInt, consent.Measure, "width of the window in pixels, rounded down to 100", (*Visit).viewport},
	{FieldReturning, "visitor.returning", TypeBool, consent.Storage, "whether an earlier session of this browser is known", (*Visit).returning},
	{FieldVisits, "visitor.visits", TypeInt, consent.Storage, "sessions of this browser so far, this one included", (*Visit).visits},
	{FieldDaysSince, "visitor.days_since", TypeInt, consent.Storage, "whole days since the previous session of this browser", (*Visit).daysSince},
	{FieldInterests, "interests", TypeMap, consent.Personalise, "categories looked at, each view halved every fourteen days", (*Visit).interests},
	{FieldCounters, "counters", TypeMap, consent.Personalise, "events by name, each halved every fourteen days", (*Visit).counters},
	{FieldRecent, "recent", TypeList, consent.Personalise, "items looked at, latest first", (*Visit).recent},
	{FieldBought, "bought", TypeList, consent.Personalise, "items bought, latest first", (*Visit).bought},
	{FieldCart, "cart", TypeItems, consent.Personalise, "items put in the cart and not taken out or bought", (*Visit).cart},
	{FieldClickID, "click.id", TypeString, consent.Share, "advertising click id of the page's address", func(v *Visit, to *Value) { to.setText(v.Source.ClickID) }},
	{FieldLat, "geo.lat", TypeFloat, consent.Geo, "latitude in degrees", (*Visit).lat},
	{FieldLon, "geo.lon", TypeFloat, consent.Geo, "longitude in degrees", (*Visit).lon},
	{FieldPostcode, "geo.postcode", TypeString, consent.Geo, "postcode", func(v *Visit, to *Value) { to.setText(v.Place.Postcode) }},
	{FieldDeviceModel, "device.model", TypeString, consent.Device, "device model", func(v *Visit, to *Value) { to.setText(v.Device.Model) }},
	{FieldOSVersion, "device.os_version", TypeString, consent.Device, "version of the operating system", func(v *Visit, to *Value) { to.setText(v.Device.OSVersion) }},
	{FieldScreen, "screen", TypeString, consent.Device, "screen size in pixels, width x height", func(v *Visit, to *Value) { to.setText(v.Device.Screen) }},
	{FieldTimeZone, "tz", TypeString, consent.Device, "the browser's time zone (IANA)", func(v *Visit, to *Value) { to.setText(v.Device.TimeZone) }},
	{FieldPageTitle, "page.title", TypeString, consent.Measure, "title of the page", func(v *Visit, to *Value) { to.setText(v.Page.Title) }},
	{FieldPageHost, "page.host", TypeString, consent.Measure, "host of the page", func(v *Visit, to *Value) { to.setText(v.Page.Host) }},
	{FieldNow, "now", TypeTime, 0, "moment of the page view", func(v *Visit, to *Value) { to.Type, to.Int = TypeTime, v.Now.UnixMilli() }},
	{FieldVisitorID, "visitor.id", TypeString, consent.Storage, "random id of this browser, with which rules draw lots (hash) and nothing else", (*Visit).visitorID},
	{FieldCounts, "counts", TypeMap, consent.Personalise, "how often events happened in windows of days that the site's rules use", (*Visit).counts},
	{FieldStage, "stage", TypeString, consent.Personalise, "stage of the journey: unaware, browsing, comparing, intent, abandoned, customer, repeat or lapsing", (*Visit).stage},
	{FieldIntent, "intent", TypeString, consent.Personalise, "what was begun and is not done, in the stages intent and abandoned: cart or form", (*Visit).intent},
	{FieldDayInterests, "day.interests", TypeMap, consent.Personalise, "categories looked at, halved every day", (*Visit).dayInterests},
	{FieldHourInterests, "hour.interests", TypeMap, consent.Personalise, "categories looked at, halved every hour", (*Visit).hourInterests},
	{FieldDayCounters, "day.counters", TypeMap, consent.Personalise, "events by name, halved every day", (*Visit).dayCounters},
	{FieldHourCounters, "hour.counters", TypeMap, consent.Personalise, "events by name, halved every hour", (*Visit).hourCounters},
	{FieldOrders, "orders.count", TypeInt, consent.Personalise, "number of purchases of this visitor", (*Visit).orders},
	{FieldDaysSinceOrder, "orders.days_since", TypeInt, consent.Personalise, "days since the last purchase", (*Visit).daysSinceOrder},
	{FieldSessionMinutes, "visitor.session_minutes", TypeInt, consent.Personalise, "minutes since this session began", (*Visit).sessionMinutes},
}

// Fields returns the built-in fields in number order. The slice is a copy.
func Fields() []Field { return append([]Field(nil), fields[:]...) }

// FieldByName returns the built-in field with a wire name.
func FieldByName(name string) (Field, bool) {
	for _, f := range fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

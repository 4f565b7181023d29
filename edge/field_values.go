// SPDX-License-Identifier: Apache-2.0

package edge

import "slices"

// fieldWords are the words of fields that have no others. What fills a field
// takes them from nowhere else than a test compares with this table.
var fieldWords = [builtinFields][]string{
	FieldDeviceType:    {"phone", "tablet", "desktop", "tv", "other"},
	FieldRefClass:      {"search", "social", "mail", "referral", "internal", "direct"},
	FieldSourceChannel: {"search", "social", "mail", "ads", "referral", "direct"},
	FieldSurface:       {"web", "app", "mail", "search", "service"},
}

// Words returns the only texts that a field may be, nil where it may be any. The
// caller owns them.
func (f *Field) Words() []string { return slices.Clone(fieldWords[f.Number]) }

// Range returns the least and the largest whole number that a field may be; ok is
// false where it may be any.
func (f *Field) Range() (least, most int64, ok bool) {
	switch f.Number {
	case FieldHour:
		return 0, 23, true
	case FieldWeekday:
		return 1, 7, true
	}
	return 0, 0, false
}

// standardEvents are the events that GA4 and its tags have a name for.
var standardEvents = []string{
	"ad_impression", "add_payment_info", "add_shipping_info", "add_to_cart", "add_to_wishlist", "begin_checkout", "campaign_details",
	"click", "close_convert_lead", "close_unconvert_lead", "disqualify_lead", "earn_virtual_currency", "exception", "file_download",
	"first_visit", "form_start", "form_submit", "generate_lead", "join_group", "level_end", "level_start", "level_up", "login",
	"page_view", "post_score", "purchase", "qualify_lead", "refund", "remove_from_cart", "screen_view", "scroll", "search",
	"select_content", "select_item", "select_promotion", "session_start", "share", "sign_up", "spend_virtual_currency",
	"tutorial_begin", "tutorial_complete", "unlock_achievement", "user_engagement", "video_complete", "video_progress", "video_start",
	"view_cart", "view_item", "view_item_list", "view_promotion", "view_search_results", "working_lead",
}

// StandardEvents returns GA4's names of events, sorted. A site may have others.
// The caller owns them.
func StandardEvents() []string { return slices.Clone(standardEvents) }

// SPDX-License-Identifier: Apache-2.0

package consent

import "testing"

func TestParseMode(t *testing.T) {
	tests := []struct {
		name  string
		pairs [][2]string
		want  Mode
		ok    bool // of the last pair
	}{
		{"granted", [][2]string{{"analytics_storage", "granted"}}, Mode{AnalyticsStorage: Yes}, true},
		{"denied", [][2]string{{"ad_storage", "denied"}}, Mode{AdStorage: No}, true},
		{"every type", [][2]string{
			{"ad_storage", "granted"}, {"ad_user_data", "granted"}, {"ad_personalization", "granted"},
			{"analytics_storage", "granted"}, {"functionality_storage", "granted"},
			{"personalization_storage", "granted"}, {"security_storage", "granted"},
		}, Mode{Yes, Yes, Yes, Yes, Yes, Yes, Yes}, true},
		{"a denial is not undone by a repeated member", [][2]string{
			{"ad_storage", "denied"}, {"ad_storage", "granted"},
		}, Mode{AdStorage: No}, true},
		{"a later denial wins", [][2]string{
			{"ad_storage", "granted"}, {"ad_storage", "denied"},
		}, Mode{AdStorage: No}, true},
		{"an unknown key changes nothing", [][2]string{{"wait_for_update", "500"}}, Mode{}, false},
		{"a key in capitals is unknown", [][2]string{{"AD_STORAGE", "granted"}}, Mode{}, false},
		{"an unknown value is a denial", [][2]string{{"ad_storage", "GRANTED"}}, Mode{AdStorage: No}, false},
		{"no value is a denial", [][2]string{{"ad_storage", ""}}, Mode{AdStorage: No}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got Mode
			var ok bool
			for _, pair := range tt.pairs {
				ok = ParseMode(&got, []byte(pair[0]), []byte(pair[1]))
			}
			if got != tt.want || ok != tt.ok {
				t.Errorf("got %v, %t, want %v, %t", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestAuthorityNames(t *testing.T) {
	want := []string{"nobody", "tcf", "gpp", "gcm", "owner", "region", "nobody"}
	for i, name := range want {
		if got := Authority(i).String(); got != name {
			t.Errorf("authority %d is %q, want %q", i, got, name)
		}
	}
}

// Consent Mode is the only signal below another authority that can say no by
// itself; the defaults of a region and an unasked owner cannot.
func TestConsentModeDenialsAreVetoesUnlessTCFApplies(t *testing.T) {
	denied := Signals{Mode: Mode{AnalyticsStorage: No, AdUserData: No, FunctionalityStorage: Yes}}
	var got reading
	if got.readMode(&denied); got.vetoes != Measure|Share {
		t.Errorf("denials veto %v, want measure+share", got.vetoes)
	}
	denied.GDPR = Yes
	got = reading{}
	if got.readMode(&denied); got != (reading{}) {
		t.Errorf("under TCF Consent Mode says %+v, want nothing", got)
	}
}

// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/memo"
)

func TestDevices(t *testing.T) {
	const (
		androidFrozen = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 "
		linuxFrozen   = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
	)
	tests := []struct {
		name string
		give headers
		want edge.Device
		bot  bool
	}{
		{name: "Chrome on a phone with hints", give: headers{userAgent: androidFrozen + "Mobile Safari/537.36", mobile: "?1", platform: `"Android"`}, want: edge.Device{Type: "phone"}},
		{name: "Chrome on a phone with all hints", give: headers{userAgent: androidFrozen + "Mobile Safari/537.36", mobile: "?1", platform: `"Android"`, formFactors: `"Mobile"`, model: `"Pixel 11"`, platformVersion: `"17.0.0"`}, want: edge.Device{Type: "phone", Model: "Pixel 11", OSVersion: "17"}},
		{name: "Chrome on a tablet with hints", give: headers{userAgent: androidFrozen + "Safari/537.36", mobile: "?0", platform: `"Android"`}, want: edge.Device{Type: "tablet"}},
		{name: "a tablet by its form factor", give: headers{userAgent: linuxFrozen, mobile: "?0", platform: `"Linux"`, formFactors: `"Tablet", "EInk"`}, want: edge.Device{Type: "tablet"}},
		{name: "a car by its form factor", give: headers{userAgent: androidFrozen + "Safari/537.36", mobile: "?0", platform: `"Android"`, formFactors: `"Automotive"`}, want: edge.Device{Type: "other"}},
		{name: "Chrome on Windows with hints", give: headers{userAgent: desktopAgent, mobile: "?0", platform: `"Windows"`, platformVersion: `"19.0.0"`}, want: edge.Device{Type: "desktop", OSVersion: "11"}},
		{name: "Chrome on Windows without hints", give: headers{userAgent: desktopAgent}, want: edge.Device{Type: "desktop", OSVersion: "10"}},
		{name: "Chrome on Linux", give: headers{userAgent: linuxFrozen}, want: edge.Device{Type: "desktop"}},
		{name: "Chrome OS", give: headers{userAgent: "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36", mobile: "?0", platform: `"Chrome OS"`}, want: edge.Device{Type: "desktop"}},
		{name: "a phone that asks for the desktop's site", give: headers{userAgent: linuxFrozen, mobile: "?0", platform: `"Linux"`}, want: edge.Device{Type: "desktop"}},
		{name: "iPhone", give: headers{userAgent: phoneAgent}, want: edge.Device{Type: "phone", Model: "iPhone", OSVersion: "19.1"}},
		{name: "iPad that says so", give: headers{userAgent: "Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1.2 Mobile/15E148 Safari/604.1"}, want: edge.Device{Type: "tablet", Model: "iPad", OSVersion: "12.5"}},
		{name: "a web view of iPadOS that says it is a Mac", give: headers{userAgent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"}, want: edge.Device{Type: "tablet"}},
		{name: "Safari on a Mac", give: headers{userAgent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.2 Safari/605.1.15"}, want: edge.Device{Type: "desktop"}},
		{name: "Firefox on a phone", give: headers{userAgent: "Mozilla/5.0 (Android 16; Mobile; rv:153.0) Gecko/153.0 Firefox/153.0"}, want: edge.Device{Type: "phone", OSVersion: "16"}},
		{name: "Firefox on a tablet", give: headers{userAgent: "Mozilla/5.0 (Android 16; Tablet; rv:153.0) Gecko/153.0 Firefox/153.0"}, want: edge.Device{Type: "tablet", OSVersion: "16"}},
		{name: "Firefox on Windows", give: headers{userAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:153.0) Gecko/20100101 Firefox/153.0"}, want: edge.Device{Type: "desktop", OSVersion: "10"}},
		{name: "an older Android phone", give: headers{userAgent: "Mozilla/5.0 (Linux; Android 9; SM-G960F Build/PPR1.180610.011) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/74.0.3729.157 Mobile Safari/537.36"}, want: edge.Device{Type: "phone", Model: "SM-G960F", OSVersion: "9"}},
		{name: "an older Android tablet", give: headers{userAgent: "Mozilla/5.0 (Linux; Android 9; SM-T720) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/88.0.4324.152 Safari/537.36"}, want: edge.Device{Type: "tablet", Model: "SM-T720", OSVersion: "9"}},
		{name: "a phone of the brand Cubot", give: headers{userAgent: "Mozilla/5.0 (Linux; Android 11; CUBOT NOTE 20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/100.0.0.0 Mobile Safari/537.36"}, want: edge.Device{Type: "phone", Model: "CUBOT NOTE 20", OSVersion: "11"}},
		{name: "a Fire tablet", give: headers{userAgent: "Mozilla/5.0 (Linux; Android 11; KFTRWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/120.4.1 like Chrome/120.0.6099.283 Safari/537.36"}, want: edge.Device{Type: "tablet", Model: "KFTRWI", OSVersion: "11"}},
		{name: "Internet Explorer on a desk that has a pen", give: headers{userAgent: "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; Tablet PC 2.0; rv:11.0) like Gecko"}, want: edge.Device{Type: "desktop", OSVersion: "7"}},
		{name: "a Samsung TV", give: headers{userAgent: "Mozilla/5.0 (SMART-TV; LINUX; Tizen 7.0) AppleWebKit/537.36 (KHTML, like Gecko) 94.0.4606.31/7.0 TV Safari/537.36"}, want: edge.Device{Type: "tv", OSVersion: "7.0"}},
		{name: "an LG TV", give: headers{userAgent: "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.6099.270 Safari/537.36 WebAppManager"}, want: edge.Device{Type: "tv"}},
		{name: "an Android TV with a tablet's hints", give: headers{userAgent: "Mozilla/5.0 (Linux; Android 12; BRAVIA 4K VH2) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36", mobile: "?0", platform: `"Android"`}, want: edge.Device{Type: "tv"}},
		{name: "a console at a TV", give: headers{userAgent: "Mozilla/5.0 (PlayStation; PlayStation 5/6.00) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.4 Safari/605.1.15"}, want: edge.Device{Type: "tv"}},
		{name: "a headset", give: headers{userAgent: "Mozilla/5.0 (X11; Linux x86_64; Quest 3) AppleWebKit/537.36 (KHTML, like Gecko) OculusBrowser/35.0 Chrome/126.0.0.0 VR Safari/537.36"}, want: edge.Device{Type: "other"}},
		{name: "nothing at all", want: edge.Device{Type: "other"}},
		{name: "hints alone", give: headers{mobile: "?1", platform: `"Android"`}, want: edge.Device{Type: "phone"}},
		{name: "hints that are not well-formed", give: headers{userAgent: desktopAgent, mobile: "yes", platform: `Windows`, model: `"a\b"`, platformVersion: `"`}, want: edge.Device{Type: "desktop", OSVersion: "10"}},
		{name: "Googlebot", give: headers{userAgent: "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}, want: edge.Device{Type: "other"}, bot: true},
		{name: "Googlebot on a phone", give: headers{userAgent: "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}, want: edge.Device{Type: "phone", Model: "Nexus 5X", OSVersion: "6.0.1"}, bot: true},
		{name: "GPTBot", give: headers{userAgent: "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.3; +https://openai.com/gptbot)"}, want: edge.Device{Type: "other"}, bot: true},
		{name: "headless Chrome", give: headers{userAgent: strings.Replace(linuxFrozen, "Chrome", "HeadlessChrome", 1)}, want: edge.Device{Type: "desktop"}, bot: true},
		{name: "headless Chrome that hides it in its User-Agent", give: headers{userAgent: desktopAgent, brands: `"HeadlessChrome";v="156", "Chromium";v="156", "Not?A_Brand";v="24"`}, want: edge.Device{Type: "desktop"}, bot: true},
		{name: "Chrome with its brands", give: headers{userAgent: linuxFrozen, brands: `"Chromium";v="156", "Google Chrome";v="156", "Not?A_Brand";v="24"`, mobile: "?0", platform: `"Linux"`}, want: edge.Device{Type: "desktop"}},
		{name: "Edge with its brands", give: headers{userAgent: linuxFrozen + " Edg/156.0.0.0", brands: `"Microsoft Edge";v="156", "Chromium";v="156", "Not?A_Brand";v="24"`, mobile: "?0", platform: `"Linux"`}, want: edge.Device{Type: "desktop"}},
		{name: "Opera, which counts by itself", give: headers{userAgent: linuxFrozen + " OPR/142.0.0.0", brands: `"Opera";v="142", "Chromium";v="156"`, mobile: "?0", platform: `"Linux"`}, want: edge.Device{Type: "desktop"}},
		{name: "hints of one Chrome and the User-Agent of another", give: headers{userAgent: linuxFrozen, brands: `"Chromium";v="120", "Google Chrome";v="120"`, mobile: "?0", platform: `"Linux"`}, want: edge.Device{Type: "desktop"}, bot: true},
		{name: "Firefox with the hints of Chrome", give: headers{userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0", brands: `"Chromium";v="156"`}, want: edge.Device{Type: "desktop"}, bot: true},
		{name: "an iPhone with the hints of Chrome", give: headers{userAgent: phoneAgent, brands: `"Chromium";v="156"`}, want: edge.Device{Type: "phone"}, bot: true},
		{name: "brands that are no list", give: headers{userAgent: linuxFrozen, brands: `Chromium 120`}, want: edge.Device{Type: "desktop"}},
		{name: "a model with a quotation mark", give: headers{userAgent: androidFrozen + "Safari/537.36", mobile: "?0", platform: `"Android"`, model: `"Tab 8\" \\ 2"`}, want: edge.Device{Type: "tablet", Model: `Tab 8" \ 2`}},
		{name: "a Windows Phone", give: headers{userAgent: "Mozilla/5.0 (Mobile; Windows Phone 8.1; Android 4.0; ARM; Trident/7.0; Touch; rv:11.0; IEMobile/11.0; NOKIA; Lumia 520) like iPhone OS 7_0_3 Mac OS X AppleWebKit/537 (KHTML, like Gecko) Mobile Safari/537"}, want: edge.Device{Type: "phone", Model: "Lumia 520", OSVersion: "8.1"}},
		{name: "Chrome on an iPhone", give: headers{userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1"}, want: edge.Device{Type: "phone", Model: "iPhone", OSVersion: "17.5.1"}},
		{name: "an iPhone whose system stopped counting", give: headers{userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1"}, want: edge.Device{Type: "phone", Model: "iPhone", OSVersion: "26.1"}},
		{name: "a frozen phone without hints", give: headers{userAgent: androidFrozen + "Mobile Safari/537.36"}, want: edge.Device{Type: "phone"}},
		{name: "a phone in Samsung's browser", give: headers{userAgent: "Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/21.0 Chrome/110.0.5481.154 Mobile Safari/537.36"}, want: edge.Device{Type: "phone", Model: "SM-S918B", OSVersion: "13"}},
		{name: "a phone from before smartphones", give: headers{userAgent: "SAMSUNG-C3053/1.0 Openwave/6.2.3 Profile/MIDP-2.0 Configuration/CLDC-1.1 UP.Browser/6.2.3.3.c.1.101 (GUI) MMP/2.0"}, want: edge.Device{Type: "phone", Model: "C3053"}},
		{name: "a tablet that says Mobile", give: headers{userAgent: "Mozilla/5.0 (Linux; Android 4.0.4; IdeaTab A2109A Build/IMM76D) AppleWebKit/535.19 (KHTML, like Gecko) Chrome/18.0.1025.166 Mobile Safari/535.19"}, want: edge.Device{Type: "tablet", Model: "IdeaTab A2109A", OSVersion: "4.0.4"}},
		{name: "an HTC Butterfly", give: headers{userAgent: "Mozilla/5.0 (Linux; Android 4.1.1; HTC Butterfly Build/JRO03C) AppleWebKit/535.19 (KHTML, like Gecko) Chrome/18.0.1025.166 Mobile Safari/535.19"}, want: edge.Device{Type: "phone", Model: "Butterfly", OSVersion: "4.1.1"}},
		{name: "Sogou's spider", give: headers{userAgent: "Sogou web spider/4.0(+http://www.sogou.com/docs/help/webmasters.htm#07)"}, want: edge.Device{Type: "other"}, bot: true},
		{name: "a program that says whom to ask", give: headers{userAgent: "Mozilla/5.0 (compatible; Fetcher/2.0; +https://fetcher.example/about)"}, want: edge.Device{Type: "other"}, bot: true},
		{name: "curl", give: headers{userAgent: "curl/8.14.1"}, want: edge.Device{Type: "other"}, bot: true},
		{name: "Python", give: headers{userAgent: "python-requests/2.32"}, want: edge.Device{Type: "other"}, bot: true},
	}
	d := newDevices()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, way := range []string{"worked out", "remembered"} {
				got, bot, _ := d.read(&tt.give, nil)
				if tt.bot {
					got.Model, got.OSVersion, tt.want.Model, tt.want.OSVersion = "", "", "", ""
				}
				if got != tt.want || bot != tt.bot {
					t.Errorf("%s: %+v, bot %v, want %+v, %v", way, got, bot, tt.want, tt.bot)
				}
			}
		})
	}
}

func TestDeviceReadingsDoNotReferToTheRequest(t *testing.T) {
	d := newDevices()
	agent := []byte("Mozilla/5.0 (Linux; Android 9; SM-T720) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/88.0.4324.152 Safari/537.36")
	same := string(agent)
	d.read(&headers{userAgent: view(agent)}, nil)
	for i := range agent {
		agent[i] = 'x' // the request's memory is used again
	}
	if got, _, _ := d.read(&headers{userAgent: same}, nil); got.Model != "SM-T720" {
		t.Errorf("remembered %+v", got)
	}
}

func TestDeviceAllocs(t *testing.T) {
	d := newDevices()
	for name, h := range map[string]*headers{
		"without hints": {userAgent: phoneAgent},
		"with all hints": {
			userAgent: desktopAgent, brands: `"Chromium";v="156", "Not?A_Brand";v="24"`, mobile: "?0", platform: `"Windows"`,
			formFactors: `"Desktop"`, model: `""`, platformVersion: `"19.0.0"`,
		},
	} {
		key := make([]byte, 0, maxCacheKey)
		_, _, key = d.read(h, key)
		if n := testing.AllocsPerRun(100, func() { _, _, key = d.read(h, key) }); n > 0 {
			t.Errorf("%s: a device that is remembered costs %v allocations", name, n)
		}
	}
}

func FuzzDevice(f *testing.F) {
	f.Add(phoneAgent, "?1", `"Android"`, `"Mobile"`, `"Pixel"`, `"Chromium";v="1"`)
	f.Add("Mozilla/5.0 (", "", "", "", "", "")
	f.Add("Opera ()", "?0", `"`, `""`, `"\"`, `"";;`)
	f.Add("Dalvik (Linux; ; ;", "?0", "", "", "", ",")
	f.Add("Mozilla/5.0 (Symbian) AppleWebKit", "", "", "", "", "")
	f.Add("Mozilla/5.0 (Linux; Android 4;(( Build/ Build; IEMobile;;;", "", "", "", "", "")
	known := newCrawlers()
	f.Fuzz(func(t *testing.T, agent, mobile, platform, factors, model, brands string) {
		d := &devices{memo.New[deviceReading](maxCacheKey), known}
		h := headers{userAgent: agent, mobile: mobile, platform: platform, formFactors: factors, model: model, brands: brands}
		got, bot, _ := d.read(&h, nil)
		switch got.Type {
		case devicePhone, deviceTablet, deviceDesktop, deviceTV, deviceOther:
		default:
			t.Errorf("type %q", got.Type)
		}
		if len(got.Model) > maxUserAgentBytes || len(got.OSVersion) > maxUserAgentBytes {
			t.Errorf("device %+v", got)
		}
		if again, botAgain, _ := d.read(&h, nil); again != got || botAgain != bot {
			t.Errorf("remembered %+v, %v, worked out %+v, %v", again, botAgain, got, bot)
		}
	})
}

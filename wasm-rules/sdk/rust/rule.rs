// SPDX-License-Identifier: Apache-2.0

// An example to change: it shows the warm hero in the evening and the summer one
// by day. Setting "evening" is the hour at which the evening begins; visitors
// from the country of setting "sunny" always see summer.
#![no_std]

mod near;
use near::*;

near::rule!(decide);

const WINTER_PHONE: u8 = 1;
const WINTER_DESKTOP: u8 = 2;
const SUMMER_PHONE: u8 = 3;
const SUMMER_DESKTOP: u8 = 4;

const MORNING: i64 = 6;

fn decide(_slot: u32) -> Option<Answer> {
    let hour = TIME_HOUR.get()?; // not known or not granted: no answer
    let country = GEO_COUNTRY.get().unwrap_or("");
    let phone = DEVICE_TYPE.get() == Some("phone");

    let evening = number_setting("evening").unwrap_or(18.0) as i64;
    let sunny = text_setting("sunny").unwrap_or("");
    let winter = (hour >= evening || hour < MORNING) && (country.is_empty() || country != sunny);

    let words = because();
    words.put("It is ").put_int(hour).put(" o'clock");
    if !country.is_empty() {
        words.put(" in ").put(country);
    }
    let variant = match (winter, phone) {
        (true, true) => WINTER_PHONE,
        (true, false) => WINTER_DESKTOP,
        (false, true) => SUMMER_PHONE,
        (false, false) => SUMMER_DESKTOP,
    };
    Some(Answer { variant, score: 200 })
}

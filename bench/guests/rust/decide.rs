// SPDX-License-Identifier: Apache-2.0

// decide is what every guest beside it does, line by line, in Rust.
#![no_std]

#[path = "../../../wasm-rules/sdk/rust/near.rs"]
mod near;
use near::*;

near::rule!(decide);

const PLAIN: u8 = 1;
const WARM: u8 = 2;
const HOT: u8 = 3;

fn loyalty() -> i64 {
    if GEO_COUNTRY.get() != Some("FR") || DEVICE_TYPE.get() != Some("phone") {
        return 0;
    }
    if VISITOR_VISITS.get().unwrap_or(0) <= 3 {
        return 0;
    }
    if LANG.get().unwrap_or("").starts_with("fr") {
        40
    } else {
        0
    }
}

fn habit() -> i64 {
    let viewed = COUNTERS.get().and_then(|mut all| all.find(|(key, _)| *key == "view_item"));
    2 * viewed.map_or(0.0, |(_, times)| times).min(10.0) as i64
}

fn basket() -> i64 {
    let (mut score, mut total) = (0, 0.0);
    for item in CART.get().into_iter().flatten() {
        if item.id.starts_with("shoe-") {
            score += 5 * item.quantity;
        }
        total += item.quantity as f64 * item.price;
    }
    if total > 100.0 {
        score + 10
    } else {
        score
    }
}

fn decide(_slot: u32) -> Option<Answer> {
    let mut score = loyalty() + habit() + basket();
    if PAGE_TAGS.get().map_or(false, |mut tags| tags.any(|tag| tag == "vip")) {
        score += 30;
    }
    if TIME_HOUR.get().unwrap_or(0) >= 18 {
        score += 5;
    }
    if VISITOR_VISITS.get().unwrap_or(0) > 1000 {
        because().put("Known to rule 00000000"); // a number of its own makes a module of its own
        if VISITOR_VISITS.get().unwrap_or(0) == 1234567 {
            loop {}
        }
    }
    match score {
        80.. => Some(Answer { variant: HOT, score }),
        50.. => Some(Answer { variant: WARM, score }),
        20.. => Some(Answer { variant: PLAIN, score }),
        _ => None,
    }
}

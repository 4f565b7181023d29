// SPDX-License-Identifier: Apache-2.0

// echo says what it was given. Its slots are those of ../manifest.json; the C
// echo does the same.
#![no_std]

use core::sync::atomic::{AtomicI64, Ordering::Relaxed};

#[path = "../../sdk/rust/near.rs"]
mod near;
use near::*;

near::rule!(decide, take_settings);

const OWN_TEXT: TextField = TextField::own(0);
const OWN_NUMBER: IntField = IntField::own(1);
const OWN_AMOUNT: FloatField = FloatField::own(2);
const OWN_FLAG: BoolField = BoolField::own(3);
const OWN_SINCE: IntField = IntField::own(4);
const OWN_LIST: ListField = ListField::own(5);
const OWN_THINGS: ItemsField = ItemsField::own(6);
const OWN_WEIGHTS: MapField = MapField::own(7);

const SETTINGS_MAX: usize = 256;

static CALLS: AtomicI64 = AtomicI64::new(0);
static COUNTS: AtomicI64 = AtomicI64::new(0);

fn take_settings() {
    if settings().len() > SETTINGS_MAX {
        trap();
    }
}

/// Counts the values that are said.
struct Values(i64, Output);

impl Values {
    /// Starts the next value: "-" when it is absent.
    fn next<T>(&mut self, value: Option<T>, say: impl Fn(Output, T)) {
        if self.0 >> 32 > 0 {
            self.1.put("|");
        }
        self.0 += 1 << 32;
        match value {
            None => {
                self.1.put("-");
            }
            Some(v) => {
                self.0 += 1;
                say(self.1, v);
            }
        }
    }
}

/// Numbers are said in thousandths: exact, and short to write in any language.
fn thousandths(out: Output, x: f64) {
    out.put_int((x * 1000.0 + if x < 0.0 { -0.5 } else { 0.5 }) as i64).put("m");
}

fn comma(out: Output, i: usize) {
    if i > 0 {
        out.put(",");
    }
}

fn say_text(out: Output, text: &str) {
    out.put(text);
}

fn say_int(out: Output, number: i64) {
    out.put_int(number);
}

fn say_list(out: Output, list: List<Texts>) {
    for (i, text) in list.enumerate() {
        comma(out, i);
        out.put(text);
    }
}

fn say_items(out: Output, items: List<Items>) {
    for (i, item) in items.enumerate() {
        comma(out, i);
        out.put(item.id).put("*").put_int(item.quantity).put("@");
        thousandths(out, item.price);
    }
}

fn say_map(out: Output, map: List<Entries>) {
    for (i, (key, value)) in map.enumerate() {
        comma(out, i);
        out.put(key).put(":");
        thousandths(out, value);
    }
}

fn fields() -> Answer {
    let mut values = Values(0, because());
    values.next(PAGE_PATH.get(), say_text);
    values.next(OWN_TEXT.get(), say_text);
    values.next(PAGE_TAGS.get(), say_list);
    values.next(OWN_NUMBER.get(), say_int);
    values.next(GEO_COUNTRY.get(), say_text);
    values.next(OWN_AMOUNT.get(), thousandths);
    values.next(GEO_LAT.get(), thousandths);
    values.next(OWN_FLAG.get(), |out, flag| say_int(out, flag as i64));
    values.next(OWN_SINCE.get(), say_int);
    values.next(OWN_LIST.get(), say_list);
    values.next(OWN_THINGS.get(), say_items);
    values.next(OWN_WEIGHTS.get(), say_map);
    Answer { variant: 1, score: values.0 as u32 as i64 }
}

fn say_settings() -> Answer {
    let say = text_setting("say").or(setting("say")).unwrap_or("");
    because().put(settings()).put("|").put(say).put("|").put(setting("deep").unwrap_or(""));
    Answer { variant: 1, score: 0 }
}

fn say_typed_settings() -> Answer {
    let out = because();
    out.put(text_setting("text").unwrap_or("-")).put("|");
    match number_setting("number") {
        Some(number) => thousandths(out, number),
        None => say_text(out, "-"),
    }
    out.put("|").put(match bool_setting("flag") {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    });
    Answer { variant: 1, score: 0 }
}

fn choose_items() -> Answer {
    if let Some(list) = OWN_LIST.get() {
        for id in list {
            choose(id).reason("seen").say("You saw ").put(id);
        }
    }
    Answer { variant: 1, score: 0 }
}

fn count() -> Answer {
    let counts = COUNTS.load(Relaxed);
    COUNTS.store(counts + 1, Relaxed);
    Answer { variant: 1, score: CALLS.load(Relaxed) + counts }
}

fn grow() -> Answer {
    if core::arch::wasm32::memory_grow(0, 1) == usize::MAX {
        trap();
    }
    Answer { variant: 1, score: core::arch::wasm32::memory_size(0) as i64 }
}

/// An entry of a tag no version 1 host knows, then the reason.
fn unknown_tag() -> Answer {
    raw(&[8, 0, 0, 0, 99, 0, 4, 0, b'!', b'!', b'!', b'!']);
    because().put("known");
    Answer { variant: 1, score: 0 }
}

fn not_utf8() -> Answer {
    because().put("??");
    raw(&[6, 0, 0, 0, 1, 0, 2, 0, 0xff, 0xfe]);
    Answer { variant: 1, score: 0 }
}

fn too_long() -> Answer {
    raw(&5000u32.to_le_bytes());
    Answer { variant: 1, score: 0 }
}

/// Writes bytes over the output's first ones.
fn raw(bytes: &[u8]) {
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), near_out(), bytes.len()) }
}

/// Writes texts until none fits: the output must end as a whole.
fn fill() -> Answer {
    let out = because();
    for _ in 0..200 {
        out.put("0123456789");
    }
    choose(PAGE_PATH.get().unwrap_or("")).say("nothing");
    Answer { variant: 1, score: 0 }
}

const NONSENSE: u32 = 6;

fn decide(slot: u32) -> Option<Answer> {
    CALLS.store(CALLS.load(Relaxed) + 1, Relaxed);
    // The host refuses a module that misbehaves on an empty record or on a
    // canary visit. Neither has a value for an own field.
    if slot >= NONSENSE && OWN_NUMBER.get().is_none() {
        return None;
    }
    match slot {
        0 => Some(fields()),
        1 => Some(say_settings()),
        2 => Some(Answer { variant: 2, score: OWN_NUMBER.get().unwrap_or(0) }),
        3 => Some(choose_items()),
        4 => Some(count()),
        5 => None,
        NONSENSE => Some(Answer { variant: 3, score: 0 }),
        8 => Some(grow()),
        9 => Some(unknown_tag()),
        10 => Some(not_utf8()),
        11 => Some(too_long()),
        12 => Some(fill()),
        13 => Some(say_typed_settings()),
        _ => trap(), // 7 is "trap"
    }
}

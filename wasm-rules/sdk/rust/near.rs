// SPDX-License-Identifier: Apache-2.0

//! near lets a rule module written in Rust speak the Nearside rule ABI, version
//! 1. It is the whole SDK: two files, near.rs and near_fields.rs, without a
//! crate and without the standard library.
//!
//! ```ignore
//! #![no_std]
//! mod near;
//! use near::*;
//!
//! near::rule!(decide);
//!
//! fn decide(_slot: u32) -> Option<Answer> {
//!     if DEVICE_TYPE.get()? != "phone" {
//!         return None; // no answer: the next rule is asked
//!     }
//!     because().put("You are on a phone");
//!     Some(Answer { variant: 1, score: 10 })
//! }
//! ```
//!
//! A value that is absent or that the visitor refused is `None`; nothing tells
//! the two apart. Nothing a module keeps in memory outlives a call: the host
//! puts the memory back. A panic is a trap, which costs this answer only.

#![allow(dead_code)] // no module uses all of the SDK

use core::cell::UnsafeCell;
use core::fmt;

#[path = "near_fields.rs"]
mod fields;
pub use fields::*;

// ---- the module's frame -------------------------------------------------------

/// Exports a function `fn(slot: u32) -> Option<Answer>` as the rule. The slot is
/// the index of the manifest's slot that is asked. A second function, `fn()`, is
/// called once when the settings are there; it refuses them by a panic.
macro_rules! rule {
    ($decide:path) => {
        near::rule!($decide, near::take_any);
    };
    ($decide:path, $take_settings:path) => {
        #[no_mangle]
        pub extern "C" fn near_decide(slot: u32) -> i64 {
            near::Answer::bits($decide(slot))
        }

        #[no_mangle]
        pub extern "C" fn near_settings(at: *const u8, length: usize) {
            near::keep_settings(at, length);
            $take_settings();
        }
    };
}
pub(crate) use rule;

/// What a rule answers: the variant's number in the manifest, from 1, and a
/// score of 56 signed bits that orders the answers of one rung.
#[derive(Clone, Copy)]
pub struct Answer {
    pub variant: u8,
    pub score: i64,
}

impl Answer {
    /// near_decide's result.
    pub fn bits(answer: Option<Answer>) -> i64 {
        answer.map_or(0, |a| a.score << 8 | a.variant as i64)
    }
}

/// A cell of the module's only thread.
struct Single<T>(UnsafeCell<T>);

// A module has one thread, and none of the functions below calls another's.
unsafe impl<T> Sync for Single<T> {}

impl<T> Single<T> {
    const fn new(value: T) -> Self {
        Single(UnsafeCell::new(value))
    }
    fn at(&self) -> *mut T {
        self.0.get()
    }
}

const RECORD_MAX: usize = 16384;
const OUTPUT_MAX: usize = 1024;
const OWN_MAX: usize = 256;

#[repr(align(8))]
struct Buffer<const N: usize>([u8; N]);

static RECORD: Single<Buffer<RECORD_MAX>> = Single::new(Buffer([0; RECORD_MAX]));
static OUTPUT: Single<Buffer<OUTPUT_MAX>> = Single::new(Buffer([0; OUTPUT_MAX]));
static SETTINGS: Single<Buffer<RECORD_MAX>> = Single::new(Buffer([0; RECORD_MAX]));
static SETTINGS_LENGTH: Single<usize> = Single::new(0);
static OWN: Single<[u16; OWN_MAX]> = Single::new([0; OWN_MAX]);
static ENTRY: Single<Entry> = Single::new(Entry::Full);

/// The address of the buffer for records.
#[no_mangle]
pub extern "C" fn near_in() -> *mut u8 {
    RECORD.at() as *mut u8
}

/// The address of the output.
#[no_mangle]
pub extern "C" fn near_out() -> *mut u8 {
    OUTPUT.at() as *mut u8
}

#[no_mangle]
extern "C" fn near_bind(index: u32, number: u32) {
    if index as usize >= OWN_MAX {
        trap();
    }
    unsafe { (*OWN.at())[index as usize] = number as u16 }
}

/// Takes settings as the manifest's schema let them through.
pub fn take_any() {}

/// Copies the settings out of the buffer that records will stand in.
pub fn keep_settings(at: *const u8, length: usize) {
    if length > RECORD_MAX {
        trap();
    }
    unsafe {
        core::ptr::copy_nonoverlapping(at, SETTINGS.at() as *mut u8, length);
        *SETTINGS_LENGTH.at() = length;
    }
}

/// Ends the call without an answer.
pub fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    trap()
}

// ---- reading fields -------------------------------------------------------------

// Where a field is: its number, or its index among the manifest's fields that are
// not built in.
#[derive(Clone, Copy)]
enum Place {
    Number(u16),
    Own(u16),
}

impl Place {
    fn slot(self) -> Option<*const u8> {
        let number = match self {
            Place::Number(n) => n as usize,
            Place::Own(i) => unsafe { (*OWN.at())[i as usize] as usize },
        };
        unsafe {
            let record = RECORD.at() as *const u8;
            let fields = *(record.add(8) as *const u16) as usize + *(record.add(10) as *const u16) as usize;
            if number >= fields {
                return None;
            }
            let present = *(record.add(16) as *const u64).add(number >> 6) >> (number & 63) & 1;
            if present == 0 {
                return None;
            }
            Some(record.add(16 + 8 * ((fields + 63) / 64 + number)))
        }
    }
}

// A slot is stored by one 8-byte store, so it is loaded by one 8-byte load: an
// offset from the record's start in its low half, a count in its high half.
unsafe fn reference(at: *const u8) -> (*const u8, usize) {
    let bits = *(at as *const u64);
    ((RECORD.at() as *const u8).add(bits as u32 as usize), (bits >> 32) as usize)
}

unsafe fn text_at(at: *const u8) -> &'static str {
    let (start, length) = reference(at);
    core::str::from_utf8_unchecked(core::slice::from_raw_parts(start, length)) // the host writes UTF-8
}

macro_rules! field {
    ($(#[$doc:meta])* $name:ident, $value:ty, |$at:ident| $read:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name(Place);

        impl $name {
            pub(crate) const fn number(number: u16) -> Self {
                $name(Place::Number(number))
            }
            /// The index-th field, from 0, of those in the manifest's `reads`
            /// that are not built in.
            pub const fn own(index: u16) -> Self {
                $name(Place::Own(index))
            }
            /// The value, if there is one and the visitor granted it.
            pub fn get(self) -> Option<$value> {
                let $at = self.0.slot()?;
                Some(unsafe { $read })
            }
        }
    };
}

field!(/** A field that holds a text. */ TextField, &'static str, |at| text_at(at));
field!(/** A field that holds an integer, or a time in milliseconds since 1970. */ IntField, i64, |at| *(at as *const i64));
field!(/** A field that says yes or no. */ BoolField, bool, |at| *(at as *const i64) != 0);
field!(/** A field that holds a number. */ FloatField, f64, |at| *(at as *const f64));
field!(/** A field that holds a list of texts. */ ListField, List<Texts>, |at| List::new(at));
field!(/** A field that holds things with quantity and price. */ ItemsField, List<Items>, |at| List::new(at));
field!(/** A field that holds numbers by key, sorted by key. */ MapField, List<Entries>, |at| List::new(at));

/// What one element of a list is.
pub trait Element {
    type Value;
    const BYTES: usize;
    /// Reads the element at an address of the record.
    unsafe fn read(at: *const u8) -> Self::Value;
}

/// A list of texts.
pub enum Texts {}
/// A list of things.
pub enum Items {}
/// A list of keys with numbers.
pub enum Entries {}

/// One thing of an items field.
#[derive(Clone, Copy)]
pub struct Item {
    pub id: &'static str,
    pub quantity: i64,
    pub price: f64,
}

impl Element for Texts {
    type Value = &'static str;
    const BYTES: usize = 8;
    unsafe fn read(at: *const u8) -> &'static str {
        text_at(at)
    }
}

impl Element for Items {
    type Value = Item;
    const BYTES: usize = 24;
    unsafe fn read(at: *const u8) -> Item {
        Item { id: text_at(at), quantity: *(at.add(8) as *const i64), price: *(at.add(16) as *const f64) }
    }
}

impl Element for Entries {
    type Value = (&'static str, f64);
    const BYTES: usize = 16;
    unsafe fn read(at: *const u8) -> (&'static str, f64) {
        (text_at(at), *(at.add(8) as *const f64))
    }
}

/// A list inside the record; it iterates over its elements.
pub struct List<E: Element> {
    at: *const u8,
    left: usize,
    element: core::marker::PhantomData<E>,
}

impl<E: Element> List<E> {
    unsafe fn new(at: *const u8) -> Self {
        let (at, left) = reference(at);
        List { at, left, element: core::marker::PhantomData }
    }
    /// How many elements are left.
    pub fn len(&self) -> usize {
        self.left
    }
    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<E: Element> Iterator for List<E> {
    type Item = E::Value;
    fn next(&mut self) -> Option<E::Value> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        unsafe {
            let value = E::read(self.at);
            self.at = self.at.add(E::BYTES);
            Some(value)
        }
    }
}

// ---- settings -------------------------------------------------------------------

/// The settings as the host gave them: a JSON object without white space.
pub fn settings() -> &'static str {
    unsafe {
        let json = core::slice::from_raw_parts(SETTINGS.at() as *const u8, *SETTINGS_LENGTH.at());
        core::str::from_utf8_unchecked(json)
    }
}

/// A member of the settings as its JSON, `"…"` with the quotes for a text. None
/// if there is no such member.
pub fn setting(key: &str) -> Option<&'static str> {
    let json = settings();
    let mut at = 1;
    while byte(json, at) == b'"' {
        let after = skip_text(json, at);
        let end = skip_value(json, after + 1);
        if json.get(at + 1..after - 1)? == key {
            return json.get(after + 1..end);
        }
        at = end + 1;
    }
    None
}

/// A setting that is a text; in it `"`, `\` and control characters are left
/// escaped.
pub fn text_setting(key: &str) -> Option<&'static str> {
    setting(key)?.strip_prefix('"')?.strip_suffix('"')
}

/// A setting that is true or false.
pub fn bool_setting(key: &str) -> Option<bool> {
    match setting(key)? {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A setting that is a number, to about 15 digits.
pub fn number_setting(key: &str) -> Option<f64> {
    let json = setting(key)?;
    let mut at = (byte(json, 0) == b'-') as usize;
    if !byte(json, at).is_ascii_digit() {
        return None;
    }
    let (mut digits, mut power) = (0.0, 0i32);
    while byte(json, at).is_ascii_digit() {
        digits = digits * 10.0 + (byte(json, at) - b'0') as f64;
        at += 1;
    }
    if byte(json, at) == b'.' {
        at += 1;
        while byte(json, at).is_ascii_digit() {
            digits = digits * 10.0 + (byte(json, at) - b'0') as f64;
            power -= 1;
            at += 1;
        }
    }
    if byte(json, at) | 0x20 == b'e' {
        let down = byte(json, at + 1) == b'-';
        at += 1 + (down || byte(json, at + 1) == b'+') as usize;
        let mut exponent = 0;
        while byte(json, at).is_ascii_digit() && exponent < 1000 {
            exponent = exponent * 10 + (byte(json, at) - b'0') as i32;
            at += 1;
        }
        power += if down { -exponent } else { exponent };
    }
    let mut scale = 1.0;
    for _ in 0..power.abs() {
        scale *= 10.0;
    }
    let value = if power < 0 { digits / scale } else { digits * scale };
    Some(if byte(json, 0) == b'-' { -value } else { value })
}

// byte is 0 behind the end.
fn byte(text: &str, at: usize) -> u8 {
    text.as_bytes().get(at).copied().unwrap_or(0)
}

fn skip_text(json: &str, mut at: usize) -> usize {
    at += 1;
    while at < json.len() && byte(json, at) != b'"' {
        at += 1 + (byte(json, at) == b'\\') as usize;
    }
    at + 1
}

fn skip_value(json: &str, mut at: usize) -> usize {
    let mut depth = 0;
    while at < json.len() {
        match byte(json, at) {
            b',' | b'}' if depth == 0 => break,
            b'"' => {
                at = skip_text(json, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    at
}

// ---- answering ------------------------------------------------------------------

// Where the header of the open entry is. Full follows an entry that did not fit:
// what comes after it would be taken for another item's.
#[derive(Clone, Copy)]
enum Entry {
    At(usize),
    Full,
}

const BECAUSE: u8 = 1;
const ITEM: u8 = 2;
const REASON: u8 = 3;
const TEXT: u8 = 4;

/// Appends to the entry of the output that was opened last. What does not fit
/// is left out whole.
#[derive(Clone, Copy)]
pub struct Output(());

/// Opens the reason in words.
pub fn because() -> Output {
    open(BECAUSE, 0)
}

/// Answers with an item; `reason` and `say` of what it returns belong to it.
pub fn choose(id: &str) -> Output {
    open(ITEM, id.len()).put(id)
}

fn output_end() -> usize {
    unsafe { 4 + *(OUTPUT.at() as *const u32) as usize }
}

fn open(tag: u8, first: usize) -> Output {
    let end = output_end();
    unsafe {
        if end > 4 && matches!(*ENTRY.at(), Entry::Full) {
            return Output(());
        }
        if end + 4 > OUTPUT_MAX || first > OUTPUT_MAX - end - 4 {
            *ENTRY.at() = Entry::Full;
            return Output(());
        }
        let output = OUTPUT.at() as *mut u8;
        (output.add(end) as *mut u32).write_unaligned(tag as u32);
        *(output as *mut u32) = end as u32; // 4 more than before: the length does not count itself
        *ENTRY.at() = Entry::At(end);
    }
    Output(())
}

impl Output {
    /// Appends a text, whole or not at all.
    #[inline(never)]
    pub fn put(self, text: &str) -> Self {
        let end = output_end();
        unsafe {
            if let Entry::At(entry) = *ENTRY.at() {
                if end > 4 && text.len() <= OUTPUT_MAX - end {
                    let output = OUTPUT.at() as *mut u8;
                    core::ptr::copy_nonoverlapping(text.as_ptr(), output.add(end), text.len());
                    let length = end + text.len() - entry - 4;
                    (output.add(entry + 2) as *mut u16).write_unaligned(length as u16);
                    *(output as *mut u32) = (end + text.len() - 4) as u32;
                }
            }
        }
        self
    }

    /// Appends a decimal number, whole or not at all.
    #[inline(never)]
    pub fn put_int(self, number: i64) -> Self {
        let mut digits = [0u8; 20];
        let (mut at, mut rest) = (digits.len(), number.unsigned_abs());
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            at -= 1;
            digits[at] = b'-';
        }
        self.put(unsafe { core::str::from_utf8_unchecked(&digits[at..]) })
    }

    /// Opens the reason code of the item chosen last.
    pub fn reason(self, code: &str) -> Self {
        open(REASON, 0).put(code)
    }

    /// Opens the text of the item chosen last.
    pub fn say(self, text: &str) -> Self {
        open(TEXT, 0).put(text)
    }
}

/// For `write!`, which is larger than `put`.
impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text);
        Ok(())
    }
}

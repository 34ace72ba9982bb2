//! Numbers for the strings that libvirt repeats at every scrape (field names, device names).

use std::collections::HashMap;

/// Strings of devices that are gone, which it holds before it starts anew: about a hundred kilobytes with their copies in
/// TypeScript.
const SLACK: usize = 500;

/// An append-only table of strings that Rust and TypeScript keep in step.
///
/// A string crosses to TypeScript once; afterwards its number does. When it has outgrown what one scrape needed,
/// it starts anew, so that devices that come and go do not fill the memory.
#[derive(Default)]
pub struct Dictionary {
    numbers: HashMap<Box<[u8]>, u32>,
    strings: Vec<Box<[u8]>>,
    delivered: usize,
    /// How many strings its first delivery had.
    needed: usize,
}

/// The strings that TypeScript has not seen: they follow the first `base` ones.
/// A `base` of 0 says that the table started anew.
pub struct Additions {
    /// How many strings TypeScript already has.
    pub base: u32,
    /// The new ones, in order.
    pub strings: Vec<String>,
}

impl Dictionary {
    /// The number of `string`, new or known.
    pub fn number(&mut self, string: &[u8]) -> u32 {
        if let Some(&number) = self.numbers.get(string) {
            return number;
        }
        let number = u32::try_from(self.strings.len()).expect("the limit is far below u32::MAX");
        self.strings.push(string.into());
        self.numbers.insert(string.into(), number);
        number
    }

    /// The string with this number; empty when there is none.
    pub fn string(&self, number: u32) -> &[u8] {
        self.strings.get(number as usize).map_or(&[], AsRef::as_ref)
    }

    /// Empties the table when it has outgrown twice what its first delivery had. Numbers given out before are void then, so
    /// this may only be called between scrapes.
    pub fn start_anew_when_full(&mut self) {
        if self.strings.len() > 2 * self.needed + SLACK {
            *self = Self::default();
        }
    }

    /// What was added since the last delivery.
    pub fn additions(&mut self) -> Additions {
        let base = u32::try_from(self.delivered).expect("the limit is far below u32::MAX");
        let strings = self.strings[self.delivered..].iter().map(|bytes| text(bytes)).collect();
        if self.delivered == 0 {
            self.needed = self.strings.len();
        }
        self.delivered = self.strings.len();
        Additions { base, strings }
    }
}

/// libvirt's bytes as text. Bytes that are not UTF-8 stay distinguishable (`\xff`), because two names that
/// differ only there must not become one series.
pub fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().escape_ascii().map(char::from));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_keeps_its_number_and_crosses_once() {
        let mut dictionary = Dictionary::default();
        assert_eq!(dictionary.number(b"cpu.time"), 0);
        assert_eq!(dictionary.number(b"net.0.name"), 1);
        assert_eq!(dictionary.number(b"cpu.time"), 0);
        let first = dictionary.additions();
        assert_eq!(
            (first.base, first.strings.as_slice()),
            (0, &["cpu.time".into(), "net.0.name".into()][..])
        );
        dictionary.number(b"tap1");
        let second = dictionary.additions();
        assert_eq!((second.base, second.strings), (2, vec![String::from("tap1")]));
        assert!(dictionary.additions().strings.is_empty());
    }

    #[test]
    fn a_full_dictionary_starts_anew_and_says_so_by_base_zero() {
        let mut dictionary = Dictionary::default();
        dictionary.number(b"cpu.time");
        dictionary.additions();
        for number in 0..=u32::try_from(SLACK).unwrap() {
            dictionary.number(&number.to_be_bytes());
            dictionary.additions();
            dictionary.start_anew_when_full();
        }
        assert_eq!(dictionary.number(b"cpu.time"), 0);
        dictionary.number(b"tap");
        dictionary.additions();
        dictionary.start_anew_when_full();
        assert_eq!(dictionary.number(b"tap"), 0);
        assert_eq!(dictionary.additions().base, 0);
    }

    #[test]
    fn a_dictionary_has_room_for_what_one_scrape_needs() {
        let mut dictionary = Dictionary::default();
        for number in 0_u32..1_000 {
            dictionary.number(&number.to_be_bytes());
        }
        dictionary.additions();
        dictionary.start_anew_when_full();
        assert_eq!(dictionary.number(&7_u32.to_be_bytes()), 7);
    }

    #[test]
    fn bytes_that_are_not_utf8_stay_distinguishable() {
        assert_eq!(text(b"tap\xff"), "tap\\xff");
        assert_ne!(text(b"tap\xfe"), text(b"tap\xff"));
        assert_eq!(text("é😀".as_bytes()), "é😀");
    }
}

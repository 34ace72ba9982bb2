//! The values of one domain, under libvirt's own names.
//!
//! Whatever call a value comes from, its field name is the one of libvirt's bulk statistics
//! (<https://libvirt.org/html/libvirt-libvirt-domain.html#virConnectGetAllDomainStats>), so that the other
//! side of the seam knows one vocabulary. What libvirt does not give is not in the row.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dictionary::Dictionary;
use crate::parameters::to_double;

/// A dictionary that the threads of the pool share.
pub type SharedDictionary = Arc<Mutex<Dictionary>>;

/// The values of one domain: field number and value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Numbers; 64-bit integers become doubles, exact up to 2^53.
    pub numbers: Vec<(u32, f64)>,
    /// Texts, as dictionary numbers.
    pub texts: Vec<(u32, u32)>,
}

impl Row {
    /// Adds the values of another row.
    pub fn append(&mut self, mut other: Self) {
        self.numbers.append(&mut other.numbers);
        self.texts.append(&mut other.texts);
    }

    /// Whether it has a number for this field.
    pub fn has(&self, field: u32) -> bool {
        self.numbers.iter().any(|(present, _)| *present == field)
    }

    /// Orders the fields by number; of a field given twice the first value stays.
    pub fn sort(&mut self) {
        self.numbers.sort_by_key(|(field, _)| *field);
        self.numbers.dedup_by_key(|(field, _)| *field);
        self.texts.sort_by_key(|(field, _)| *field);
        self.texts.dedup_by_key(|(field, _)| *field);
    }

    /// Adds a number.
    pub fn number(&mut self, dictionary: &mut Dictionary, field: &[u8], value: f64) {
        self.numbers.push((dictionary.number(field), value));
    }

    /// Adds a text.
    pub fn text(&mut self, dictionary: &mut Dictionary, field: &[u8], text: &[u8]) {
        self.texts.push((dictionary.number(field), dictionary.number(text)));
    }

    /// Adds a number, unless it is negative: some calls of libvirt give -1 for what they do not know.
    pub fn known(&mut self, dictionary: &mut Dictionary, field: &str, value: i64) {
        if value >= 0 {
            self.number(dictionary, field.as_bytes(), to_double(value.cast_unsigned()));
        }
    }
}

/// Locks the dictionary.
pub fn lock(dictionary: &SharedDictionary) -> MutexGuard<'_, Dictionary> {
    dictionary.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_ordered_by_field_and_the_first_value_wins() {
        let mut row = Row { numbers: vec![(3, 1.0), (1, 2.0)], texts: vec![(9, 1), (9, 2)] };
        row.append(Row { numbers: vec![(3, 5.0)], texts: vec![(2, 7)] });
        row.sort();
        assert_eq!(row, Row { numbers: vec![(1, 2.0), (3, 1.0)], texts: vec![(2, 7), (9, 1)] });
    }

    #[test]
    fn what_libvirt_marks_unknown_is_left_out() {
        let mut row = Row::default();
        let mut dictionary = Dictionary::new(10);
        row.known(&mut dictionary, "block.0.errors", -1);
        row.known(&mut dictionary, "block.0.rd.bytes", 0);
        assert_eq!(row.numbers, [(0, 0.0)]);
    }
}

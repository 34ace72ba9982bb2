//! The values of one domain, under libvirt's own names.
//!
//! Whatever call a value comes from, its field name is the one of libvirt's bulk statistics
//! (<https://libvirt.org/html/libvirt-libvirt-domain.html#virConnectGetAllDomainStats>), so that
//! TypeScript knows one vocabulary. What libvirt does not give is not in the row.

use std::sync::{Arc, Mutex};

use crate::dictionary::Dictionary;

/// A dictionary that the threads of the pool share.
pub type SharedDictionary = Arc<Mutex<Dictionary>>;

/// The nearest double to a number of libvirt, as Prometheus's samples are.
#[expect(clippy::cast_precision_loss, reason = "Prometheus's samples are doubles")]
pub fn to_double(value: u64) -> f64 {
    value as f64
}

/// The nearest double.
#[expect(clippy::cast_precision_loss, reason = "Prometheus's samples are doubles")]
pub fn signed_to_double(value: i64) -> f64 {
    value as f64
}

/// The values of one domain: field number and value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Numbers; 64-bit integers become doubles, exact up to 2^53.
    pub numbers: Vec<(u32, f64)>,
    /// Texts, as dictionary numbers.
    pub texts: Vec<(u32, u32)>,
}

impl Row {
    /// A row with these numbers, by field.
    pub fn of<Field: AsRef<[u8]>>(
        dictionary: &mut Dictionary,
        numbers: impl IntoIterator<Item = (Field, f64)>,
    ) -> Self {
        let numbers = numbers.into_iter();
        let numbered = numbers.map(|(field, value)| (dictionary.number(field.as_ref()), value));
        Self { numbers: numbered.collect(), texts: Vec::new() }
    }

    /// Adds the values of another row.
    pub fn append(&mut self, mut other: Self) {
        self.numbers.append(&mut other.numbers);
        self.texts.append(&mut other.texts);
    }

    /// The number that it has for this field.
    pub fn value(&self, field: u32) -> Option<f64> {
        self.numbers.iter().find(|(present, _)| *present == field).map(|(_, value)| *value)
    }

    /// Orders the fields by number; of a field given twice the first value stays.
    pub fn sort(&mut self) {
        self.numbers.sort_by_key(|(field, _)| *field);
        self.numbers.dedup_by_key(|(field, _)| *field);
        self.texts.sort_by_key(|(field, _)| *field);
        self.texts.dedup_by_key(|(field, _)| *field);
    }

    /// Adds a text.
    pub fn text(&mut self, dictionary: &mut Dictionary, field: &[u8], text: &[u8]) {
        self.texts.push((dictionary.number(field), dictionary.number(text)));
    }
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
}

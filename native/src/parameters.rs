//! libvirt's typed parameters.

use std::ffi::{CStr, c_char, c_int};
use std::slice;

use crate::bindings::{self, virTypedParameter};
use crate::dictionary::Dictionary;
use crate::library::Library;
use crate::row::{Row, signed_to_double, to_double};

/// Room for the parameters that a call writes. There may be texts among them, for libvirt adds the flag that allows them
/// (`VIR_TYPED_PARAM_STRING_OKAY`) by itself; they are freed with it.
pub struct Buffer {
    library: &'static Library,
    parameters: [virTypedParameter; Self::ROOM as usize],
}

impl Buffer {
    /// How many parameters there is room for: as many as libvirt's protocol takes, and more than any release gives.
    /// Source: `REMOTE_DOMAIN_BLOCK_STATS_PARAMETERS_MAX` and its like in `remote_protocol.x`.
    pub const ROOM: u8 = 16;

    /// An empty one.
    pub fn new(library: &'static Library) -> Self {
        Self { library, parameters: Default::default() }
    }

    /// Where a call may write `ROOM` parameters.
    pub fn pointer(&mut self) -> *mut virTypedParameter {
        self.parameters.as_mut_ptr()
    }

    /// The first `count` parameters, which a call has written.
    pub fn first(&self, count: impl TryInto<usize>) -> &[virTypedParameter] {
        let count = count.try_into().unwrap_or_default();
        &self.parameters[..count.min(self.parameters.len())]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: every entry is zero or one that libvirt wrote, whose text nobody uses any more; others are left alone.
        unsafe { (self.library.api.virTypedParamsClear)(self.pointer(), c_int::from(Self::ROOM)) };
    }
}

/// All values, each under its own name.
pub fn read_parameters(dictionary: &mut Dictionary, parameters: &[virTypedParameter]) -> Row {
    let mut row = Row::of(dictionary, numbers(parameters));
    for parameter in parameters {
        if let Some(text) = text_of(parameter) {
            row.text(dictionary, field_name(parameter), text);
        }
    }
    row
}

/// The numbers among parameters, by name.
pub fn numbers(parameters: &[virTypedParameter]) -> impl Iterator<Item = (&[u8], f64)> {
    let number = |parameter| Some((field_name(parameter), number_of(parameter)?));
    parameters.iter().filter_map(number)
}

/// The name of a parameter.
fn field_name(parameter: &virTypedParameter) -> &[u8] {
    bytes_until_nul(&parameter.field)
}

/// What stands in a buffer of C before its first NUL byte; all of it when there is none.
pub fn bytes_until_nul(field: &[c_char]) -> &[u8] {
    // SAFETY: reading `char`s as bytes: same size, every value valid.
    let bytes = unsafe { slice::from_raw_parts(field.as_ptr().cast::<u8>(), field.len()) };
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The number, or the truth value, that a parameter has; none when it is neither, or its type is not known.
fn number_of(parameter: &virTypedParameter) -> Option<f64> {
    let value = &parameter.value;
    // SAFETY: `type_` tells which member of the union libvirt wrote.
    unsafe {
        match parameter.type_.cast_unsigned() {
            bindings::VIR_TYPED_PARAM_INT => Some(f64::from(value.i)),
            bindings::VIR_TYPED_PARAM_UINT => Some(f64::from(value.ui)),
            bindings::VIR_TYPED_PARAM_LLONG => Some(signed_to_double(value.l)),
            bindings::VIR_TYPED_PARAM_ULLONG => Some(to_double(value.ul)),
            bindings::VIR_TYPED_PARAM_DOUBLE => Some(value.d),
            bindings::VIR_TYPED_PARAM_BOOLEAN => Some(f64::from(value.b)),
            _ => None,
        }
    }
}

/// The text that a parameter has; none when it is no text.
fn text_of(parameter: &virTypedParameter) -> Option<&[u8]> {
    if parameter.type_.cast_unsigned() != bindings::VIR_TYPED_PARAM_STRING {
        return None;
    }
    // SAFETY: the type tells that libvirt wrote a text, or null.
    let text = unsafe { parameter.value.s };
    // SAFETY: it ends with a NUL byte and is freed with its parameter.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    use crate::bindings::_virTypedParameter__bindgen_ty_1 as ParameterValue;

    fn parameter(name: &str, kind: u32) -> bindings::virTypedParameter {
        let mut parameter = bindings::virTypedParameter::default();
        for (slot, byte) in parameter.field.iter_mut().zip(name.bytes()) {
            *slot = c_char::from_ne_bytes([byte]);
        }
        parameter.type_ = kind.cast_signed();
        parameter
    }

    #[test]
    fn every_type_of_parameter_is_read_and_unknown_ones_are_left_out() {
        let mut dictionary = Dictionary::default();
        let mut parameters = Vec::new();
        let mut add = |name: &str, kind: u32, value: ParameterValue| {
            let mut parameter = parameter(name, kind);
            parameter.value = value;
            parameters.push(parameter);
        };
        let text = c"vda".as_ptr().cast_mut();
        add("int", bindings::VIR_TYPED_PARAM_INT, ParameterValue { i: -3 });
        add("uint", bindings::VIR_TYPED_PARAM_UINT, ParameterValue { ui: 3 });
        add("llong", bindings::VIR_TYPED_PARAM_LLONG, ParameterValue { l: -1024 });
        add("ullong", bindings::VIR_TYPED_PARAM_ULLONG, ParameterValue { ul: 1 << 53 });
        add("double", bindings::VIR_TYPED_PARAM_DOUBLE, ParameterValue { d: 0.5 });
        add("boolean", bindings::VIR_TYPED_PARAM_BOOLEAN, ParameterValue { b: 1 });
        add("string", bindings::VIR_TYPED_PARAM_STRING, ParameterValue { s: text });
        add("null", bindings::VIR_TYPED_PARAM_STRING, ParameterValue { s: ptr::null_mut() });
        add("future", 99, ParameterValue { i: 1 });
        let row = read_parameters(&mut dictionary, &parameters);
        let values: Vec<f64> = row.numbers.iter().map(|(_, value)| *value).collect();
        assert_eq!(values, [-3.0, 3.0, -1024.0, 9_007_199_254_740_992.0, 0.5, 1.0]);
        assert_eq!(row.texts.len(), 1);
        let strings = dictionary.additions().strings;
        assert_eq!(strings[row.texts[0].1 as usize], "vda");
    }

    #[test]
    fn a_buffer_holds_what_was_written_and_gives_its_texts_back() {
        unsafe extern "C" {
            fn strdup(text: *const c_char) -> *mut c_char;
        }
        let library = crate::library::library().expect("libvirt's client library is installed");
        let mut buffer = Buffer::new(library);
        // SAFETY: a NUL-terminated text.
        let text = unsafe { strdup(c"qcow2".as_ptr()) };
        buffer.parameters[0] = parameter("errs", bindings::VIR_TYPED_PARAM_INT);
        buffer.parameters[1] = parameter("format", bindings::VIR_TYPED_PARAM_STRING);
        buffer.parameters[1].value = ParameterValue { s: text };
        assert_eq!(text_of(&buffer.first(2)[1]), Some(&b"qcow2"[..]));
        assert_eq!([-1, 0, 1, 17].map(|count| buffer.first(count).len()), [0, 0, 1, 16]);
        // SAFETY: as when it is dropped, which does it again.
        unsafe { (library.api.virTypedParamsClear)(buffer.pointer(), c_int::from(Buffer::ROOM)) };
        // SAFETY: the type of the entry is that of a text.
        assert!(unsafe { buffer.parameters[1].value.s }.is_null());
    }

    #[test]
    fn a_name_that_fills_its_buffer_needs_no_terminator() {
        let mut parameter = parameter("", bindings::VIR_TYPED_PARAM_INT);
        parameter.field.fill(c_char::from_ne_bytes([b'x']));
        assert_eq!(field_name(&parameter).len(), parameter.field.len());
    }
}

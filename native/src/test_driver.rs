//! The file of libvirt's test driver (`test:///path`).

use std::ffi::CStr;
use std::fs::File;
use std::io::{ErrorKind, Read as _};

/// Why the file that a URI of the test driver names cannot be read; `None` when it can, and for every other URI.
///
/// The driver's own answer does not say what is wrong, and libxml2 under it prints a line of its own on standard error
/// at each attempt.
pub fn unreadable_file(uri: &CStr) -> Option<String> {
    let path = file_path(uri.to_str().ok()?)?;
    let read = File::open(&path).and_then(|mut file| file.read(&mut [0]));
    read.err().map(|error| {
        let (error_kind, error) = (error.kind(), error.to_string());
        // The system's number says nothing to an operator.
        let reason = error.split(" (os error").next().unwrap_or_default();
        let remedy = if error_kind == ErrorKind::PermissionDenied {
            "let the exporter's user read it"
        } else {
            "name another file in --uri"
        };
        format!("cannot read the test driver's file \"{path}\": {reason}: {remedy}")
    })
}

/// The path in `test:///path`. The name `default` stands for a hypervisor that the driver makes up.
fn file_path(uri: &str) -> Option<String> {
    let path = uri.strip_prefix("test://")?.split(['?', '#']).next()?;
    if !path.starts_with('/') || path == "/default" || path == "/" {
        return None;
    }
    decode(path)
}

/// Replaces `%2f` and the like.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, others)) = rest.split_first() {
        let digits = if first == b'%' { others.get(..2) } else { None };
        let decoded = digits
            .and_then(|digits| str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(decoded.unwrap_or(first));
        rest = if decoded.is_some() { &others[2..] } else { others };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_found_in_uris_of_the_test_driver_only() {
        for (uri, expected) in [
            ("test:///a/b%20c%C3%A9.xml?x=y", Some("/a/b c\u{e9}.xml")),
            ("test:///100%", Some("/100%")),
            ("test:///default", None),
            ("test:///", None),
            ("test://host/default", None),
            ("test+unix:///a.xml", None),
            ("qemu:///system", None),
        ] {
            assert_eq!(file_path(uri).as_deref(), expected, "{uri}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_name() {
        let missing = unreadable_file(c"test:///nonexistent/file.xml").unwrap();
        assert!(missing.contains("\"/nonexistent/file.xml\": No such file"), "{missing}");
        let folder = unreadable_file(c"test:///proc").unwrap();
        assert!(folder.contains("directory"), "{folder}");
        assert_eq!(unreadable_file(c"test:///proc/self/stat"), None);
    }
}

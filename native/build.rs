//! Sets the linker up for an N-API addon, and makes constants of the table of calls.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

const TABLE: &str = "calls.json";

fn main() {
    napi_build::setup();
    println!("cargo::rerun-if-changed={TABLE}");
    let table = fs::read_to_string(TABLE).expect("the table of calls is there");
    let folder = env::var_os("OUT_DIR").expect("Cargo says where to write");
    fs::write(Path::new(&folder).join("calls.rs"), constants(&table)).expect("it can be written");
}

/// A module for each kind of calls: a constant for each call, with the bit that asks for it, and one for those that need
/// no monitor.
fn constants(table: &str) -> String {
    let (mut code, mut path, mut last) = (String::new(), Vec::<&str>::new(), "");
    let (mut bit, mut without_monitor) = (0_u32, 0_u32);
    for token in tokens(table) {
        match (token, last, path.as_slice()) {
            ("{", kind, [_]) => write!(code, "pub mod {} {{", snake_case(kind)).unwrap(),
            ("}", _, [_, _]) => {
                write!(code, "pub const WITHOUT_MONITOR: u32 = {without_monitor};}}").unwrap();
                without_monitor = 0;
            }
            (number, "bit", [_, _, name]) => {
                bit = 1 << number.parse::<u32>().expect("a bit is a number");
                let name = snake_case(name).to_uppercase();
                write!(code, "pub const {name}: u32 = {bit};").unwrap();
            }
            ("false", "monitor", _) => without_monitor |= bit,
            _ => {}
        }
        match token {
            "{" => path.push(last),
            "}" => drop(path.pop()),
            _ => {}
        }
        last = token;
    }
    code
}

/// The names, values and brackets of JSON as it is written here: every bracket that matters stands by itself, and no text
/// has a quotation mark.
fn tokens(json: &str) -> impl Iterator<Item = &str> {
    let pieces = json.split('"').enumerate().flat_map(|(position, piece)| {
        let is_text = position % 2 == 1;
        piece.split(move |character| !is_text && ":, \n".contains(character))
    });
    pieces.filter(|token| !token.is_empty())
}

fn snake_case(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

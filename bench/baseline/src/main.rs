//! Other ways to scrape a hypervisor, each reduced to its libvirt calls: no labels, no text, no HTTP.
//!
//! `libvirt_baseline WAY URI` makes one round for each line on its standard input and answers with a line: the
//! nanoseconds that the round took, and how many libvirt calls were made and failed in it. Whoever measures decides
//! so when each round is, and can alternate with rounds of other programs.

mod bulk;
mod calls;
mod floor;
mod library;
mod seed;

/// The declarations that the exporter's shim uses.
#[path = "../../../native/src/bindings.rs"]
mod bindings;

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::Instant;

use calls::Counts;
use library::Library;

const USAGE: &str = "Usage: libvirt_baseline WAY URI, with one of these ways:
  seed         a new connection for each round, then every domain in sequence
  seed-kept    the same on one connection
  bulk         one bulk call for all domains, six groups of statistics
  bulk-all     one bulk call for all domains, every group
  floor        the calls that the exporter makes";

/// A way to scrape: makes one round at each call.
type Way = Box<dyn FnMut(&mut Counts) -> Result<(), String>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("libvirt_baseline: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, uri] = arguments.as_slice() else {
        return Err(String::from(USAGE));
    };
    let library: &'static Library = Box::leak(Box::new(Library::open()?));
    let mut way = find_way(name, library, uri)?;
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        line.map_err(|error| error.to_string())?;
        let mut counts = Counts::default();
        let started = Instant::now();
        way(&mut counts)?;
        let nanoseconds = started.elapsed().as_nanos();
        let Counts { made, failed } = counts;
        writeln!(output, "{nanoseconds} {made} {failed}").map_err(|error| error.to_string())?;
        output.flush().map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn find_way(name: &str, library: &'static Library, uri: &str) -> Result<Way, String> {
    match name {
        "seed" => Ok(seed::connecting(library, uri)),
        "seed-kept" => seed::connected(library, uri),
        "bulk" => bulk::groups(library, uri, bulk::SIX_GROUPS),
        "bulk-all" => bulk::groups(library, uri, bulk::EVERY_GROUP),
        "floor" => floor::floor(library, uri),
        _ => Err(String::from(USAGE)),
    }
}

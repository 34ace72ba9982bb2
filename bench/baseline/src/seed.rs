//! The way of the exporters that came before: a connection for each scrape, every domain in sequence, and a call for
//! each kind of value. Their parsing and writing is left out, and so is whatever their language costs.

use crate::Way;
use crate::calls::{self, Counts};
use crate::library::{Connection, Library};

/// With a new connection for each round.
pub fn connecting(library: &'static Library, uri: &str) -> Way {
    let uri = String::from(uri);
    Box::new(move |counts| {
        let connection = Connection::open(library, &uri)?;
        scrape(&connection, counts);
        Ok(())
    })
}

/// With one connection for all rounds.
pub fn connected(library: &'static Library, uri: &str) -> Result<Way, String> {
    let connection = Connection::open(library, uri)?;
    Ok(Box::new(move |counts| {
        scrape(&connection, counts);
        Ok(())
    }))
}

fn scrape(connection: &Connection, counts: &mut Counts) {
    for domain in calls::list(connection, counts) {
        let devices = calls::devices(&domain, counts);
        calls::maximum_vcpus(&domain, counts);
        calls::cpu_in_two_calls(&domain, counts);
        calls::memory(&domain, counts);
        for disk in &devices.disks {
            calls::block(&domain, disk, counts);
        }
        for interface in &devices.interfaces {
            calls::interface(&domain, interface, counts);
        }
    }
}

//! One bulk call for everything, on one connection: what libvirt offers, and what most exporters do.

use crate::Way;
use crate::bindings;
use crate::calls;
use crate::library::{Connection, Library};

/// The groups that hold what exporters usually show.
pub const SIX_GROUPS: u32 = bindings::VIR_DOMAIN_STATS_STATE
    | bindings::VIR_DOMAIN_STATS_CPU_TOTAL
    | bindings::VIR_DOMAIN_STATS_BALLOON
    | bindings::VIR_DOMAIN_STATS_VCPU
    | bindings::VIR_DOMAIN_STATS_INTERFACE
    | bindings::VIR_DOMAIN_STATS_BLOCK;

/// libvirt takes 0 for every group that the driver knows.
pub const EVERY_GROUP: u32 = 0;

/// These groups for all domains at once.
pub fn groups(library: &'static Library, uri: &str, groups: u32) -> Result<Way, String> {
    let connection = Connection::open(library, uri)?;
    Ok(Box::new(move |counts| {
        drop(calls::all_statistics(&connection, groups, counts));
        Ok(())
    }))
}

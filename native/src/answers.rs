//! What crosses to TypeScript. `src/libvirt/hypervisor.ts` has the same on the other side.

use std::collections::BTreeMap;

use napi::bindgen_prelude::{Float64Array, Uint8Array, Uint32Array};
use napi_derive::napi;

use crate::call_times::CallTime;
use crate::error::LibvirtError;

/// A domain that the last survey did not have.
#[napi(object, object_from_js = false)]
#[derive(Debug, PartialEq, Eq)]
pub struct Appeared {
    /// Its number in all further talk. It belongs to one run of one domain and is never given to another.
    pub handle: u32,
    /// 8-4-4-4-12 hexadecimal digits.
    pub uuid: String,
    /// libvirt's id of this run; -1 when it is shut off.
    pub id: i32,
    /// libvirt's name.
    pub name: String,
}

/// Which domains there are.
#[napi(object, object_from_js = false)]
pub struct Survey {
    /// Set when there is nothing to go on; the rest is empty then.
    pub failure: Option<LibvirtError>,
    /// The domains, in the order in which they have appeared: the active ones, and with `inactive` those that are shut off.
    pub handles: Uint32Array,
    /// Those of them that are new.
    pub appeared: Vec<Appeared>,
    /// Those whose definition may have changed since the last survey.
    pub changed: Uint32Array,
    /// How old libvirt's list is that the domains are from, in seconds.
    pub list_age_seconds: f64,
    /// Why there is no list of this scrape.
    pub list_failure: Option<LibvirtError>,
}

impl Survey {
    /// One without domains, for this reason.
    pub fn empty(failure: LibvirtError) -> Self {
        Self {
            failure: Some(failure),
            handles: Vec::new().into(),
            appeared: Vec::new(),
            changed: Vec::new().into(),
            list_age_seconds: 0.0,
            list_failure: None,
        }
    }
}

/// A domain's definition, or why it could not be had. Neither is there when it was not asked for.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct Description {
    /// The domain that it defines, by the number that the survey gave it.
    pub handle: u32,
    /// The definition.
    pub xml: Option<String>,
    /// Why there is none.
    pub failure: Option<LibvirtError>,
}

/// How complete a domain's values are; of several the worse counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Verdict {
    /// All that was asked was answered.
    #[default]
    Complete = 0,
    /// As `Complete`, but for interfaces whose switch is given up for a time.
    Suspended = 1,
    /// libvirt refused a call.
    Failed = 2,
    /// Somebody else is asking this guest; libvirt skipped what needs its monitor.
    Busy = 3,
    /// No place or no time was left to ask it.
    Withheld = 4,
    /// An earlier call is still out.
    Quarantined = 5,
    /// It did not answer in time; the call is abandoned.
    Late = 6,
    /// libvirt has not answered the first question about it, while a list is out as well: it holds the domain's lock.
    Locked = 7,
    /// It is no longer there.
    Gone = 8,
}

/// Numbers by name.
pub type Statistics = BTreeMap<String, f64>;

/// Something of the host.
#[napi(object, object_from_js = false)]
#[derive(Debug, Default, PartialEq)]
pub struct Entity {
    /// `node`, `cell`, `storage_pool`, `storage_volume` or `network`.
    pub kind: &'static str,
    /// Texts by name.
    pub texts: BTreeMap<&'static str, String>,
    /// Numbers by name.
    pub numbers: Statistics,
}

/// The values of the asked domains, as columns: domain `i` has the fields and values at
/// `offsets[i]..offsets[i + 1]`, ascending by field number.
#[napi(object, object_from_js = false)]
pub struct Measurement {
    /// A `Verdict` for each domain.
    pub verdicts: Uint8Array,
    /// Where each domain's numbers begin, and where the last one's end.
    pub offsets: Uint32Array,
    /// Dictionary numbers of the fields' names.
    pub fields: Uint32Array,
    /// The values.
    pub values: Float64Array,
    /// As `offsets`, for texts.
    pub text_offsets: Uint32Array,
    /// As `fields`, for texts.
    pub text_fields: Uint32Array,
    /// Dictionary numbers of the texts.
    pub texts: Uint32Array,
    /// The dictionary's news: how many strings were known before.
    pub dictionary_base: u32,
    /// The dictionary's news: the strings that follow them.
    pub dictionary_strings: Vec<String>,
    /// What the calls about the host gave.
    pub entities: Vec<Entity>,
    /// The state of the connection and of what is out, afterwards.
    pub status: Status,
    /// What failed, counted.
    pub failures: Vec<LibvirtError>,
    /// The calls since the last measurement, by function.
    pub call_times: Vec<CallTime>,
}

/// The state of the connection and of what is out.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Whether a connection is open.
    pub connected: bool,
    /// Attempts to open one since the start.
    pub connection_attempts: u32,
    /// Attempts that succeeded.
    pub connections_opened: u32,
    /// Attempts that failed.
    pub connections_failed: u32,
    /// Connections lost or given up.
    pub connections_lost: u32,
    /// Guests whose call is abandoned or lost: each may hold a worker of the daemon.
    pub abandoned_monitor_calls: u32,
    /// Other abandoned calls.
    pub abandoned_other_calls: u32,
    /// Domains, connections and kinds of calls about the host that are not asked because of them.
    pub quarantined: u32,
    /// How many runs of domains have ended since the start, by reason, as far as events told.
    pub ended_instances: BTreeMap<&'static str, u32>,
}

//! The calls that the exporter makes in the steady state, from as many threads, and nothing else: what a scrape costs
//! at least. Keep it in step with `plan` in native/src/reader.rs.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::Way;
use crate::bindings;
use crate::calls::{self, Counts, Devices};
use crate::library::{Connection, Domain, Library};

/// As many as the exporter's --libvirt.concurrency has.
const THREADS: usize = 4;

/// What the survey's bulk call asks for.
const SURVEYED: u32 = bindings::VIR_DOMAIN_STATS_STATE | bindings::VIR_DOMAIN_STATS_INTERFACE;

/// More values than a driver gives for a domain whose bulk statistics stop at the state.
const STATE_VALUES: i32 = 2;

type DevicesByUuid = HashMap<[u8; bindings::VIR_UUID_BUFLEN as usize], Devices>;

/// The calls of the exporter.
pub fn floor(library: &'static Library, uri: &str) -> Result<Way, String> {
    let connection = Arc::new(Connection::open(library, uri)?);
    let devices: Arc<DevicesByUuid> = Arc::new(known_devices(&connection));
    let crew = Crew::start(&connection, &devices)?;
    Ok(Box::new(move |counts| {
        let records = calls::all_statistics(&connection, SURVEYED, counts);
        let has_bulk = records.width() > STATE_VALUES;
        let domains = records.domains();
        drop(records);
        crew.work(Survey { domains, has_bulk, next: AtomicUsize::new(0) }, counts)
    }))
}

/// The exporter knows the devices from definitions that it has read before.
fn known_devices(connection: &Connection) -> DevicesByUuid {
    let mut counts = Counts::default();
    calls::list(connection, &mut counts)
        .into_iter()
        .map(|domain| (domain.uuid(), calls::devices(&domain, &mut counts)))
        .collect()
}

/// The domains of one round.
struct Survey {
    domains: Vec<Domain>,
    has_bulk: bool,
    /// The next piece of work: first of each domain what needs no monitor, then of each the rest.
    next: AtomicUsize,
}

impl Survey {
    fn work(&self, connection: &Connection, devices: &DevicesByUuid) -> Counts {
        let mut counts = Counts::default();
        let none = Devices::default();
        loop {
            let piece = self.next.fetch_add(1, Ordering::Relaxed);
            let needs_monitor = piece >= self.domains.len();
            let index = if needs_monitor { piece - self.domains.len() } else { piece };
            let Some(domain) = self.domains.get(index) else {
                return counts;
            };
            let devices = devices.get(&domain.uuid()).unwrap_or(&none);
            match (needs_monitor, self.has_bulk) {
                (false, has_bulk) => without_monitor(domain, devices, has_bulk, &mut counts),
                (true, true) => with_monitor(connection, domain, devices, &mut counts),
                (true, false) => call_by_call(domain, devices, &mut counts),
            }
        }
    }
}

fn without_monitor(domain: &Domain, devices: &Devices, has_bulk: bool, counts: &mut Counts) {
    calls::cpu(domain, counts);
    if has_bulk {
        return;
    }
    for target in &devices.interfaces {
        calls::interface(domain, target, counts);
    }
}

fn with_monitor(connection: &Connection, domain: &Domain, devices: &Devices, counts: &mut Counts) {
    const BALLOON: u32 = bindings::VIR_DOMAIN_STATS_BALLOON;
    if let [target] = devices.disks.as_slice() {
        calls::statistics(connection, domain, BALLOON, counts);
        calls::block(domain, target, counts);
    } else {
        let groups = BALLOON | bindings::VIR_DOMAIN_STATS_BLOCK;
        calls::statistics(connection, domain, groups, counts);
    }
}

fn call_by_call(domain: &Domain, devices: &Devices, counts: &mut Counts) {
    calls::memory(domain, counts);
    for target in &devices.disks {
        calls::block(domain, target, counts);
    }
}

/// The threads.
struct Crew {
    surveys: Vec<Sender<Arc<Survey>>>,
    counts: Receiver<Counts>,
}

impl Crew {
    fn start(connection: &Arc<Connection>, devices: &Arc<DevicesByUuid>) -> Result<Self, String> {
        let (done, counts) = channel();
        let surveys = (0..THREADS)
            .map(|_| {
                let (sender, surveys) = channel::<Arc<Survey>>();
                let (connection, devices) = (Arc::clone(connection), Arc::clone(devices));
                let done = done.clone();
                thread::Builder::new()
                    .spawn(move || {
                        for survey in surveys {
                            let counts = survey.work(&connection, &devices);
                            drop(survey);
                            if done.send(counts).is_err() {
                                return;
                            }
                        }
                    })
                    .map_err(|error| error.to_string())?;
                Ok(sender)
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { surveys, counts })
    }

    /// Lets all threads work off a survey.
    fn work(&self, survey: Survey, counts: &mut Counts) -> Result<(), String> {
        const ENDED: &str = "A thread has ended early";
        let survey = Arc::new(survey);
        for sender in &self.surveys {
            sender.send(Arc::clone(&survey)).map_err(|_| ENDED)?;
        }
        drop(survey);

        for _ in &self.surveys {
            counts.add(self.counts.recv().map_err(|_| ENDED)?);
        }
        Ok(())
    }
}

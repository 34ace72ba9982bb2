//! The bits that ask for calls, from the table that Rust and TypeScript share (`calls.json`).
#![allow(dead_code, reason = "of some calls only the other side needs to know the bit")]

include!(concat!(env!("OUT_DIR"), "/calls.rs"));

#[cfg(test)]
mod tests {
    use super::groups;
    use crate::bindings;

    #[test]
    fn the_bits_of_groups_are_those_of_libvirt() {
        for (ours, libvirts) in [
            (groups::STATE, bindings::VIR_DOMAIN_STATS_STATE),
            (groups::CPU, bindings::VIR_DOMAIN_STATS_CPU_TOTAL),
            (groups::BALLOON, bindings::VIR_DOMAIN_STATS_BALLOON),
            (groups::VCPU, bindings::VIR_DOMAIN_STATS_VCPU),
            (groups::INTERFACE, bindings::VIR_DOMAIN_STATS_INTERFACE),
            (groups::BLOCK, bindings::VIR_DOMAIN_STATS_BLOCK),
            (groups::PERF, bindings::VIR_DOMAIN_STATS_PERF),
            (groups::IOTHREAD, bindings::VIR_DOMAIN_STATS_IOTHREAD),
            (groups::MEMORY, bindings::VIR_DOMAIN_STATS_MEMORY),
            (groups::DIRTYRATE, bindings::VIR_DOMAIN_STATS_DIRTYRATE),
            (groups::VM, bindings::VIR_DOMAIN_STATS_VM),
        ] {
            assert_eq!(ours, libvirts);
        }
        let without_monitor = groups::STATE | groups::INTERFACE | groups::PERF | groups::MEMORY;
        assert_eq!(groups::WITHOUT_MONITOR, without_monitor);
    }
}

//! TCP's timers in the pod's network namespace.

use api::inventory::PodTcp;
use std::fs;

/// Reads the sysctls, which every process may.
pub(super) fn tcp() -> PodTcp {
    PodTcp {
        keepalive_time_s: sysctl("keepalive_time"),
        keepalive_interval_s: sysctl("keepalive_intvl"),
        keepalive_probes: sysctl("keepalive_probes"),
        retries2: sysctl("retries2"),
        syn_retries: sysctl("syn_retries"),
        fin_timeout_s: sysctl("fin_timeout"),
    }
}

fn sysctl(name: &str) -> Option<i64> {
    fs::read_to_string(format!("/proc/sys/net/ipv4/tcp_{name}")).ok()?.trim().parse().ok()
}

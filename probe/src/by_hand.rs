//! A run without a cluster: a manifest goes in, a table and a ConnectionProbeRun come out.

use crate::{args, exit::Exit};
use api::{
    ConnectionProbe, ConnectionProbeRun, Inventory, Report, Settings, by_hand, expect::Expect,
    forecast::Forecast, manifest, measurement::Order, names, text,
};
use jiff::Timestamp;
use std::path::Path;

/// A probe from a file.
pub struct ByHand {
    probe: ConnectionProbe,
    settings: Settings,
}

impl ByHand {
    /// Reads the manifest of a probe, for a run that starts at `start`.
    ///
    /// # Errors
    /// What is wrong with it, in lines for a person.
    pub fn read(file: &Path, start: Timestamp) -> Result<Self, String> {
        let told = |what: String| {
            let lines = what.lines().map(|line| format!("{}: {line}", file.display()));
            lines.collect::<Vec<_>>().join("\n")
        };
        let probe = manifest::parse(&args::read(file)?).map_err(told)?;
        // In place of a uid: runs of the same probe at the same time have channels of their own.
        let uid = format!("{:05x}", start.as_millisecond() & 0xf_ffff);
        let name = probe.metadata.name.clone().unwrap_or_default();
        let name = names::run_name(&name, &uid, 1);
        let measurement = &probe.spec.measurement;
        let settings = Settings::new(&name, measurement, Vec::new());
        let settings = settings.map_err(|invalid| told(text::refusal(&invalid)))?;
        Ok(Self { probe, settings })
    }

    /// What is to be held.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// In which order.
    #[must_use]
    pub fn order(&self) -> Order {
        self.probe.spec.measurement.order.unwrap_or_default()
    }

    /// What the run will do.
    #[must_use]
    pub fn forecast(&self) -> Forecast<'_> {
        Forecast { settings: &self.settings, order: self.order() }
    }

    /// What is expected of the run.
    #[must_use]
    pub fn expect(&self) -> Option<&Expect> {
        self.probe.spec.expect.as_ref()
    }

    /// What of the manifest has no meaning without a cluster.
    #[must_use]
    pub fn left_out(&self) -> Option<String> {
        let spec = &self.probe.spec;
        let written = [
            ("placement", spec.measurement.placement.is_some()),
            ("podTemplate", spec.measurement.pod_template.is_some()),
            ("rdsProxy", spec.measurement.rds_proxy.is_some()),
            ("suspend", spec.suspend == Some(true)),
        ];
        let names: Vec<_> = written.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
        let list = names.join(", ");
        (!names.is_empty()).then(|| format!("Without a cluster these are left out: {list}."))
    }

    /// The run that these reports are of.
    #[must_use]
    pub fn run(
        &self,
        exit: Exit,
        reports: Vec<Report>,
        inventory: Option<Inventory>,
        times: (Timestamp, Timestamp),
    ) -> ConnectionProbeRun {
        let interrupted = exit == Exit::Interrupted;
        by_hand::run(&self.settings.run, &self.probe, reports, inventory, times, interrupted)
    }
}

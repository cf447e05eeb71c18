//! What gives way where an evidence is too large for a termination message.

use super::Evidence;
use crate::{
    inventory::Setting,
    rds_proxy::metrics::MAX_POINTS,
    report::{LIMIT, shorten},
};

impl Evidence {
    /// The evidence as JSON, in at most [`LIMIT`] bytes. What gives way, in this order: texts, every other point of the
    /// metrics, the series that are asked for least, entries of lists. Dropped entries are counted.
    #[must_use]
    pub fn to_message(&self) -> String {
        let mut fitting = self.clone();
        fitting.fit();
        fitting.json()
    }

    /// Reads a message, and makes sure that it can be kept.
    ///
    /// # Errors
    /// It is none of [`Evidence::to_message`].
    pub fn parse(message: &str) -> serde_json::Result<Self> {
        let mut evidence: Self = serde_json::from_str(message)?;
        evidence.fit();
        Ok(evidence)
    }

    fn fit(&mut self) {
        self.bound();
        if self.is_too_large() {
            self.shorten_texts(120);
        }
        for points in [40, 30] {
            if self.is_too_large() {
                self.metrics.iter_mut().for_each(|metrics| metrics.thin_out(points));
            }
        }
        for series in (4..11).rev() {
            if self.is_too_large() {
                self.metrics.iter_mut().for_each(|metrics| metrics.series.truncate(series));
            }
        }
        if self.is_too_large() {
            self.shorten_texts(60);
        }
        while self.is_too_large() && self.drop_an_entry() {
            self.leave_out(1);
        }
        if self.is_too_large() {
            self.metrics = None;
        }
    }

    fn is_too_large(&self) -> bool {
        self.json().len() > LIMIT
    }

    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What the schema allows.
    fn bound(&mut self) {
        let dropped = keep(&mut self.endpoints, 8)
            + keep(&mut self.targets, 8)
            + keep(&mut self.parameters, 16)
            + keep(&mut self.events, 8)
            + keep(&mut self.gaps, 8)
            + self.log.as_mut().map_or(0, |log| keep(&mut log.ends, 8));
        if dropped > 0 {
            self.leave_out(dropped);
        }
        self.shorten_texts(200);
        if let Some(proxy) = &mut self.proxy {
            shorten(&mut proxy.status, 64);
            proxy.iam_auth.iter_mut().for_each(|auth| shorten(auth, 24));
            proxy.measured_endpoint.iter_mut().for_each(|name| shorten(name, 63));
        }
        for endpoint in &mut self.endpoints {
            shorten(&mut endpoint.name, 63);
            shorten(&mut endpoint.role, 24);
            shorten(&mut endpoint.status, 64);
        }
        for target in &mut self.targets {
            shorten(&mut target.kind, 32);
            target.role.iter_mut().for_each(|role| shorten(role, 24));
            shorten(&mut target.health, 64);
        }
        if let Some(pool) = &mut self.pool {
            pool.pinning_filters.truncate(4);
            pool.pinning_filters.iter_mut().for_each(|filter| shorten(filter, 48));
        }
        self.parameters.iter_mut().for_each(Setting::bound);
        self.events.iter_mut().for_each(|event| shorten(&mut event.about, 24));
        self.gaps.iter_mut().for_each(|gap| shorten(&mut gap.permission, 64));
        let ends = self.log.iter_mut().flat_map(|log| &mut log.ends);
        ends.for_each(|end| shorten(&mut end.workload, 40));
        self.metrics.iter_mut().for_each(|metrics| metrics.thin_out(MAX_POINTS));
    }

    fn shorten_texts(&mut self, length: usize) {
        let ends = self.log.iter_mut().flat_map(|log| &mut log.ends).map(|end| &mut end.reason);
        let events = self.events.iter_mut().map(|event| &mut event.text);
        ends.chain(events).for_each(|text| shorten(text, length));
        self.gaps.iter_mut().for_each(|gap| shorten(&mut gap.problem, length * 3 / 2));
    }

    /// Drops the last entry of the longest list; `false`: there was none.
    fn drop_an_entry(&mut self) -> bool {
        type Pop = fn(&mut Evidence) -> bool;
        let lists: [(usize, Pop); 6] = [
            (self.events.len(), |it| it.events.pop().is_some()),
            (self.endpoints.len(), |it| it.endpoints.pop().is_some()),
            (self.targets.len(), |it| it.targets.pop().is_some()),
            (self.parameters.len(), |it| it.parameters.pop().is_some()),
            (self.gaps.len(), |it| it.gaps.pop().is_some()),
            (self.log.as_ref().map_or(0, |log| log.ends.len()), |it| {
                it.log.as_mut().is_some_and(|log| log.ends.pop().is_some())
            }),
        ];
        let longest = lists.into_iter().max_by_key(|(len, _)| *len);
        longest.is_some_and(|(_, pop)| pop(self))
    }

    fn leave_out(&mut self, entries: i32) {
        let left_out = self.left_out.get_or_insert_default();
        *left_out = left_out.saturating_add(entries);
    }
}

/// Keeps the first entries, and says how many others there were.
fn keep<T>(list: &mut Vec<T>, most: usize) -> i32 {
    let dropped = list.len().saturating_sub(most);
    list.truncate(most);
    i32::try_from(dropped).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::{EndpointFacts, Event, Gap, LoggedEnd, ProxyFacts, ProxyLog, TargetFacts};
    use super::*;
    use crate::rds_proxy::metrics::{Metric, Metrics};
    use jiff::Timestamp;
    use proptest::{collection::vec, prelude::*};

    prop_compose! {
        fn evidence()(
            texts in vec("\\PC{0,400}", 6),
            lists in vec(0_usize..20, 6),
            minutes in vec(proptest::option::of(0_i64..1_000_000_000), 0..1440),
        ) -> Evidence {
            let text = |i: usize| texts[i].clone();
            let end = LoggedEnd { workload: text(0), n: 3, reason: text(1), apart_ms: i64::MAX };
            let gap = Gap { permission: text(2), problem: text(3) };
            let setting = Setting { name: text(4), value: text(5), ..Setting::default() };
            let target = TargetFacts { kind: text(1), role: Some(text(2)), health: text(3) };
            let series: Vec<_> = Metric::ALL.map(|metric| (metric, minutes.clone())).into();
            Evidence {
                proxy: Some(ProxyFacts { status: text(0), ..ProxyFacts::default() }),
                events: vec![Event { at: Timestamp::MAX, about: text(4), text: text(5) }; lists[0]],
                endpoints: vec![EndpointFacts { name: text(0), role: text(1), status: text(2) }; lists[1]],
                targets: vec![target; lists[2]],
                parameters: vec![setting; lists[3]],
                gaps: vec![gap; lists[4]],
                log: Some(ProxyLog { wanted: 1, found: 1, ends: vec![end; lists[5]] }),
                metrics: Some(Metrics::of_minutes(Timestamp::UNIX_EPOCH, None, &series, 60)),
                ..Evidence::default()
            }
        }
    }

    fn entries(evidence: &Evidence) -> usize {
        let log = evidence.log.as_ref().unwrap();
        evidence.events.len()
            + evidence.endpoints.len()
            + evidence.targets.len()
            + evidence.parameters.len()
            + evidence.gaps.len()
            + log.ends.len()
    }

    proptest! {
        #[test]
        fn any_evidence_fits_and_counts_what_is_left_out(whole in evidence()) {
            let message = whole.to_message();
            prop_assert!(message.len() <= LIMIT, "{} bytes", message.len());
            let read = Evidence::parse(&message).unwrap();
            prop_assert_eq!(&read, &Evidence::parse(&read.to_message()).unwrap());
            let left_out = usize::try_from(read.left_out.unwrap_or(0)).unwrap();
            prop_assert_eq!(entries(&read) + left_out, entries(&whole));
        }
    }
}

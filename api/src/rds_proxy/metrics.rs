//! CloudWatch metrics of a proxy (AWS documentation, "Monitoring RDS Proxy metrics with Amazon CloudWatch"), thinned
//! out so far that they fit into a termination message.

use crate::schema;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Points of a series that are kept.
pub const MAX_POINTS: usize = 60;

/// What CloudWatch had.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Beginning of the first point, a whole minute.
    #[schemars(schema_with = "schema::time")]
    pub start: Timestamp,
    /// Seconds from one point to the next: 60, or a multiple of it. Of several minutes a point has the highest value of
    /// a gauge and the sum of a count.
    pub period_seconds: i64,
    /// End of the newest minute of which there was any value. Earlier than the run's end: the rest never came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub known_until: Option<Timestamp>,
    /// One series for each metric that had a value; at most 11.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 11))]
    pub series: Vec<Series>,
}

/// The values of one metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    /// Which.
    pub metric: Metric,
    /// Whole numbers from `start` on, separated by spaces: at most 60, and `-` where CloudWatch had none, which is not
    /// zero.
    #[schemars(length(max = 900))]
    pub values: String,
}

/// A metric of a proxy; all are of the dimension ProxyName. More may be added: clients must tolerate unknown values.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Metric {
    /// Clients that are connected.
    ClientConnections,
    /// Clients that asked to connect.
    ClientConnectionsReceived,
    /// Client connections that were closed.
    ClientConnectionsClosed,
    /// Logins that failed, by a wrong password or without TLS.
    ClientConnectionsSetupFailedAuth,
    /// Connections to the database.
    DatabaseConnections,
    /// How many of these there may be.
    MaxDatabaseConnectionsAllowed,
    /// Those that a client holds at the moment.
    DatabaseConnectionsCurrentlyBorrowed,
    /// Those that are in a transaction.
    DatabaseConnectionsCurrentlyInTransaction,
    /// Those that belong to one client until it goes.
    DatabaseConnectionsCurrentlySessionPinned,
    /// How long clients waited for one, in microseconds.
    DatabaseConnectionsBorrowLatency,
    /// Queries.
    QueryRequests,
}

/// How values of a metric are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// So many at the moment. Each host of a proxy reports its own: a minute's statistic is the Sum, of several minutes
    /// the highest counts.
    Gauge,
    /// So many in the time. Sum.
    Count,
    /// Microseconds. Average of a minute; of several minutes the highest counts.
    Latency,
}

impl Metric {
    /// All of them, what is asked for most first.
    pub const ALL: [Self; 11] = [
        Self::DatabaseConnectionsCurrentlySessionPinned,
        Self::ClientConnections,
        Self::ClientConnectionsClosed,
        Self::DatabaseConnectionsBorrowLatency,
        Self::DatabaseConnections,
        Self::ClientConnectionsReceived,
        Self::MaxDatabaseConnectionsAllowed,
        Self::DatabaseConnectionsCurrentlyBorrowed,
        Self::DatabaseConnectionsCurrentlyInTransaction,
        Self::ClientConnectionsSetupFailedAuth,
        Self::QueryRequests,
    ];

    /// MetricName.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientConnections => "ClientConnections",
            Self::ClientConnectionsReceived => "ClientConnectionsReceived",
            Self::ClientConnectionsClosed => "ClientConnectionsClosed",
            Self::ClientConnectionsSetupFailedAuth => "ClientConnectionsSetupFailedAuth",
            Self::DatabaseConnections => "DatabaseConnections",
            Self::MaxDatabaseConnectionsAllowed => "MaxDatabaseConnectionsAllowed",
            Self::DatabaseConnectionsCurrentlyBorrowed => "DatabaseConnectionsCurrentlyBorrowed",
            Self::DatabaseConnectionsCurrentlyInTransaction => {
                "DatabaseConnectionsCurrentlyInTransaction"
            }
            Self::DatabaseConnectionsCurrentlySessionPinned => {
                "DatabaseConnectionsCurrentlySessionPinned"
            }
            Self::DatabaseConnectionsBorrowLatency => "DatabaseConnectionsBorrowLatency",
            Self::QueryRequests => "QueryRequests",
        }
    }

    /// How its values are put together.
    #[must_use]
    pub fn kind(self) -> MetricKind {
        match self {
            Self::ClientConnections
            | Self::DatabaseConnections
            | Self::MaxDatabaseConnectionsAllowed
            | Self::DatabaseConnectionsCurrentlyBorrowed
            | Self::DatabaseConnectionsCurrentlyInTransaction
            | Self::DatabaseConnectionsCurrentlySessionPinned => MetricKind::Gauge,
            Self::ClientConnectionsReceived
            | Self::ClientConnectionsClosed
            | Self::ClientConnectionsSetupFailedAuth
            | Self::QueryRequests => MetricKind::Count,
            Self::DatabaseConnectionsBorrowLatency => MetricKind::Latency,
        }
    }
}

impl Metrics {
    /// The values of a metric from `start` on, where there are any.
    #[must_use]
    pub fn values(&self, metric: Metric) -> Option<Vec<Option<i64>>> {
        let series = self.series.iter().find(|series| series.metric == metric)?;
        Some(series.values.split_whitespace().map(|value| value.parse().ok()).collect())
    }

    /// Puts points together until there are at most so many.
    pub fn thin_out(&mut self, points: usize) {
        let values = self.series.iter().filter_map(|it| Some((it.metric, self.values(it.metric)?)));
        let values: Vec<_> = values.collect();
        let thinner = Self::of_minutes(self.start, self.known_until, &values, points);
        let period_seconds = self.period_seconds.saturating_mul(thinner.period_seconds / 60);
        *self = Self { period_seconds, ..thinner };
    }

    /// Puts values of single minutes from `start` on together: as few minutes to a point as leave at most `points` of
    /// them. Metrics without a value are left out.
    #[must_use]
    pub fn of_minutes(
        start: Timestamp,
        known_until: Option<Timestamp>,
        minutes: &[(Metric, Vec<Option<i64>>)],
        points: usize,
    ) -> Self {
        let longest = minutes.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
        let together = longest.div_ceil(points.max(1)).max(1);
        let series = minutes.iter().filter_map(|(metric, values)| {
            let values: Vec<_> =
                values.chunks(together).map(|chunk| metric.kind().together(chunk)).collect();
            let word = |value: &Option<i64>| value.map_or("-".to_owned(), |n| n.to_string());
            values.iter().any(Option::is_some).then(|| Series {
                metric: *metric,
                values: values.iter().map(word).collect::<Vec<_>>().join(" "),
            })
        });
        let period_seconds = i64::try_from(together * 60).unwrap_or(i64::MAX);
        Self { start, period_seconds, known_until, series: series.collect() }
    }
}

impl MetricKind {
    fn together(self, minutes: &[Option<i64>]) -> Option<i64> {
        let known = minutes.iter().flatten().copied();
        match self {
            Self::Gauge | Self::Latency => known.max(),
            Self::Count => known.reduce(i64::saturating_add),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_minutes_a_gauge_has_the_highest_and_a_count_the_sum() {
        let minutes = [
            (Metric::ClientConnections, vec![Some(5), Some(7), None, None, Some(1)]),
            (Metric::ClientConnectionsClosed, vec![Some(1), Some(2), None, None, Some(0)]),
            (Metric::QueryRequests, vec![None; 5]),
        ];
        let metrics = Metrics::of_minutes(Timestamp::UNIX_EPOCH, None, &minutes, 3);
        assert_eq!(metrics.period_seconds, 120);
        assert_eq!(metrics.values(Metric::ClientConnections), Some(vec![Some(7), None, Some(1)]));
        assert_eq!(metrics.series[1].values, "3 - 0");
        assert_eq!(metrics.values(Metric::QueryRequests), None, "no value is not zero");
    }
}

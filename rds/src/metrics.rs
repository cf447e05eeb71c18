//! CloudWatch's metrics of a proxy, minute by minute.

use crate::{inquiry::Inquiry, progress::Event};
use api::rds_proxy::{
    metrics::{MAX_POINTS, Metric, MetricKind, Metrics},
    request::Moment,
};
use aws_sdk_cloudwatch::{
    primitives::DateTime,
    types::{
        Dimension, Metric as Name, MetricDataQuery, MetricDataResult, MetricStat, ScanBy,
        StatusCode,
    },
};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

const PERMISSION: &str = "cloudwatch:GetMetricData";
const MINUTE: i64 = 60;
/// An answer has up to 100,800 values: two days of all metrics in a page.
const PAGES: usize = 10;
/// How often metrics are looked for while they are waited for: every 20 s in 8 minutes.
const LOOKS: u32 = 24;

/// Asks for all of them; after a run again and again, until they reach its end and don't change any more. A minute's
/// value grows for a while: each host of a proxy reports on its own.
pub(crate) async fn ask(inquiry: &mut Inquiry<'_>) {
    let window = Window::of(inquiry.request.from, inquiry.request.until);
    let patience = match inquiry.request.moment {
        Moment::Before => std::time::Duration::ZERO,
        Moment::After => inquiry.order.patience,
    };
    let (until, give_up) = (inquiry.request.until, Instant::now() + patience);
    loop {
        let Some(metrics) = look(inquiry, window).await else { return };
        let known_until = metrics.known_until;
        let is_there = known_until >= Some(until);
        let is_settled = inquiry.evidence.metrics.replace(metrics) == inquiry.evidence.metrics;
        if Instant::now() >= give_up || is_there && is_settled {
            return;
        }
        Event::Waiting { known_until, until }.print(inquiry.clock.now());
        sleep(patience / LOOKS).await;
    }
}

async fn look(inquiry: &mut Inquiry<'_>, window: Window) -> Option<Metrics> {
    let time = |second| DateTime::from_secs(second);
    let call = inquiry.aws.cloudwatch.get_metric_data();
    let call = call.set_metric_data_queries(Some(queries(&inquiry.request.proxy.name)));
    let call = call.start_time(time(window.start)).end_time(time(window.end));
    let call = call.scan_by(ScanBy::TimestampAscending);
    let mut results = Vec::new();
    let pages = inquiry
        .pages(
            PERMISSION,
            PAGES,
            |token| call.clone().set_next_token(token).send(),
            |page| {
                results.extend(page.metric_data_results.unwrap_or_default());
                page.next_token
            },
        )
        .await;
    (pages > 0).then(|| window.metrics(&results))
}

fn queries(proxy: &str) -> Vec<MetricDataQuery> {
    let query = |metric: Metric| {
        let dimension = Dimension::builder().name("ProxyName").value(proxy).build();
        let name = Name::builder().namespace("AWS/RDS").metric_name(metric.as_str());
        let stat = MetricStat::builder()
            .metric(name.dimensions(dimension).build())
            .period(60)
            .stat(statistic(metric));
        MetricDataQuery::builder().id(id(metric)).metric_stat(stat.build()).build()
    };
    Metric::ALL.map(query).into()
}

fn statistic(metric: Metric) -> &'static str {
    match metric.kind() {
        MetricKind::Gauge | MetricKind::Count => "Sum",
        MetricKind::Latency => "Average",
    }
}

/// CloudWatch wants an id to begin with a small letter.
fn id(metric: Metric) -> String {
    format!("m{}", metric.as_str())
}

/// Whole minutes, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    start: i64,
    end: i64,
}

impl Window {
    /// All minutes in which there is a moment of the time.
    fn of(from: Timestamp, until: Timestamp) -> Self {
        let start = from.as_second().div_euclid(MINUTE) * MINUTE;
        let end = (until.as_second().div_euclid(MINUTE) + 1) * MINUTE;
        Self { start, end }
    }

    fn metrics(self, results: &[MetricDataResult]) -> Metrics {
        let length = usize::try_from((self.end - self.start) / MINUTE).unwrap_or(0);
        let mut known_until = None;
        let mut values_of = |metric: Metric| {
            let mut values = vec![None; length];
            let id = id(metric);
            let of_metric = results.iter().filter(|it| it.id() == Some(&id) && is_told(it));
            for (time, value) in of_metric.flat_map(|it| it.timestamps().iter().zip(it.values())) {
                let minute = usize::try_from((time.secs() - self.start).div_euclid(MINUTE));
                if let Some(slot) = minute.ok().and_then(|minute| values.get_mut(minute)) {
                    *slot = Some(value.round() as i64);
                    known_until = known_until.max(Some(time.secs() + MINUTE));
                }
            }
            (metric, values)
        };
        let minutes = Metric::ALL.map(&mut values_of);
        let time = |second| Timestamp::from_second(second).unwrap_or_default();
        Metrics::of_minutes(time(self.start), known_until.map(time), &minutes, MAX_POINTS)
    }
}

fn is_told(result: &MetricDataResult) -> bool {
    matches!(result.status_code(), None | Some(StatusCode::Complete | StatusCode::PartialData))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn values_stand_at_their_minute_and_what_is_absent_is_not_zero() {
        let window = Window::of(time("2026-03-01T12:00:59Z"), time("2026-03-01T12:03:00Z"));
        let at = |minute: i64| DateTime::from_secs(window.start + minute * 60);
        let page = |minutes: &[(i64, f64)]| {
            let mut result = MetricDataResult::builder()
                .id("mClientConnections")
                .status_code(StatusCode::Complete);
            for (minute, value) in minutes {
                result = result.timestamps(at(*minute)).values(*value);
            }
            result.build()
        };
        let pages = [page(&[(0, 1.0), (-5, 9.0)]), page(&[(2, 2.6), (77, 9.0)])];
        let metrics = window.metrics(&pages);
        assert_eq!((metrics.start, metrics.period_seconds), (time("2026-03-01T12:00:00Z"), 60));
        assert_eq!(metrics.known_until, Some(time("2026-03-01T12:03:00Z")));
        assert_eq!((metrics.series.len(), metrics.series[0].values.as_str()), (1, "1 - 3 -"));
        assert_eq!(window.metrics(&[]).known_until, None);
    }

    #[test]
    fn every_query_is_of_the_proxy_alone() {
        let queries = queries("pulp");
        assert_eq!(queries.len(), Metric::ALL.len());
        for query in queries {
            let stat = query.metric_stat().unwrap();
            let dimensions = stat.metric().unwrap().dimensions();
            assert_eq!((dimensions.len(), dimensions[0].name()), (1, Some("ProxyName")));
            let average = stat.stat() == Some("Average");
            assert_eq!(average, query.id().unwrap().ends_with("BorrowLatency"));
        }
    }
}

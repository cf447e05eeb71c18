//! A proxy's own log in CloudWatch Logs: what it says of connections that were cut.

use crate::inquiry::Inquiry;
use api::rds_proxy::request::{LaneKey, Moment, Request};
use join::Wanted;
use line::Line;

mod join;
mod line;

const PERMISSION: &str = "logs:FilterLogEvents";
/// Pages of one window, of up to 1 MB each. Where nothing matches, CloudWatch gives empty pages as it searches on.
const PAGES: usize = 50;
/// Milliseconds around a moment of ours in which the proxy's line is looked for: clocks differ, and an end is
/// noticed later than it came about.
const AROUND: i64 = 60_000;

/// After a run: asks for the lines around the opening and the end of each connection. Before it: whether it may ask.
pub(crate) async fn ask(inquiry: &mut Inquiry<'_>) {
    if inquiry.request.moment == Moment::Before {
        let (from, until) = (inquiry.request.from, inquiry.request.until);
        let call = call(inquiry, (from.as_millisecond(), until.as_millisecond())).limit(1);
        inquiry.ask(PERMISSION, call.send()).await;
        return;
    }
    let lanes = inquiry.request.lanes.get(..Request::MAX_LANES).unwrap_or(&inquiry.request.lanes);
    let mut wanted = Wanted::of(lanes);
    let mut lines = Vec::new();
    for window in windows(lanes) {
        let call = call(inquiry, window);
        let pages = inquiry
            .pages(
                PERMISSION,
                PAGES,
                |token| call.clone().set_next_token(token).send(),
                |page| {
                    let events = page.events.unwrap_or_default();
                    let of_clients = events.iter().filter_map(Line::of);
                    lines.extend(of_clients.filter(|line| wanted.wants(line)));
                    page.next_token
                },
            )
            .await;
        if pages == 0 {
            return;
        }
    }
    if !lanes.is_empty() {
        let mut log = join::join(&lines, lanes);
        log.ends.iter_mut().for_each(|end| end.reason = inquiry.scrubber.clean(&end.reason));
        inquiry.evidence.log = Some(log);
    }
}

fn call(
    inquiry: &Inquiry<'_>,
    (from, until): (i64, i64),
) -> aws_sdk_cloudwatchlogs::operation::filter_log_events::builders::FilterLogEventsFluentBuilder {
    let group = format!("/aws/rds/proxy/{}", inquiry.request.proxy.name);
    let call = inquiry.aws.logs.filter_log_events().log_group_name(group);
    call.start_time(from).end_time(until).filter_pattern(line::PATTERN)
}

/// The times in which lines are looked for, in milliseconds since 1970; those that touch are one.
fn windows(lanes: &[LaneKey]) -> Vec<(i64, i64)> {
    let moments = lanes.iter().flat_map(|lane| [lane.opened, lane.ended]);
    let mut moments: Vec<_> = moments.map(|moment| moment.as_millisecond()).collect();
    moments.sort_unstable();
    let mut windows: Vec<(i64, i64)> = Vec::new();
    for moment in moments {
        let (from, until) = (moment - AROUND, moment + AROUND);
        match windows.last_mut() {
            Some(last) if last.1 >= from => last.1 = until,
            _ => windows.push((from, until)),
        }
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn only_the_minutes_around_openings_and_ends_are_read() {
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let lane = |opened, ended| LaneKey {
            workload: "idle".into(),
            lane: 0,
            port: 1,
            opened: at(opened),
            ended: at(ended),
        };
        let minutes: Vec<_> = windows(&[lane(10, 50), lane(11, 60)])
            .into_iter()
            .map(|(from, until)| (from / 60_000, until / 60_000))
            .collect();
        assert_eq!(minutes, [(9, 12), (49, 51), (59, 61)]);
    }
}

//! What RDS tells of a proxy and the databases behind it.

use crate::{
    facts::{Database, timestamp},
    inquiry::Inquiry,
    scrub::Scrubber,
};
use api::rds_proxy::evidence::Event;
use aws_sdk_rds::{primitives::DateTime, types::SourceType};
use jiff::Timestamp;

/// So many databases are asked about.
const DATABASES: usize = 4;
const PAGES: usize = 3;

/// Asks for the events of the request's time.
pub(crate) async fn ask(inquiry: &mut Inquiry<'_>, databases: &[Database]) {
    let (from, until) = (inquiry.request.from, inquiry.request.until);
    let proxy = Database { id: inquiry.request.proxy.name.clone(), kind: SourceType::DbProxy };
    let mut events = Vec::new();
    for about in std::iter::once(&proxy).chain(databases.iter().take(DATABASES)) {
        let call = inquiry.aws.rds.describe_events().start_time(time(from)).end_time(time(until));
        let call = call.source_type(about.kind.clone()).source_identifier(&about.id);
        let told = inquiry
            .entries(
                "rds:DescribeEvents",
                PAGES,
                |marker| call.clone().set_marker(marker).send(),
                |page| (page.events, page.marker),
            )
            .await;
        events
            .extend(told.iter().filter_map(|it| event(it, about.kind.as_str(), &inquiry.scrubber)));
    }
    events.sort_by_key(|event: &Event| std::cmp::Reverse(event.at));
    inquiry.evidence.events = events;
}

fn event(event: &aws_sdk_rds::types::Event, about: &str, scrubber: &Scrubber) -> Option<Event> {
    let text = scrubber.clean(event.message().unwrap_or_default());
    Some(Event { at: timestamp(event.date()?)?, about: about.to_owned(), text })
}

fn time(time: Timestamp) -> DateTime {
    DateTime::from_millis(time.as_millisecond())
}

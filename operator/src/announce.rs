//! The announce step: events on the probe. Best effort: an event that can't be written is logged,
//! never a reason to plan anew.

use crate::plan::Announcement;
use api::ConnectionProbe;
use kube::{
    Resource,
    runtime::events::{Event, EventType, Recorder},
};

/// Writes events.
pub(crate) async fn announce(
    recorder: &Recorder,
    probe: &ConnectionProbe,
    announcements: Vec<Announcement>,
) {
    for Announcement { warning, reason, mut note, run, action } in announcements {
        // events.k8s.io allows 1,024 bytes.
        api::report::shorten(&mut note, 250);
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason,
            note: Some(note),
            action: action.to_owned(),
            secondary: run,
        };
        if let Err(error) = recorder.publish(&event, &probe.object_ref(&())).await {
            tracing::warn!(%error, reason = event.reason, "event not written");
        }
    }
}

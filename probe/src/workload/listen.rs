//! A LISTEN on a channel of our own, then nothing but what is notified; at the end once more, to see
//! whether it still hears.

use crate::{
    announcer::Announcer,
    held::{Ended, Held},
};
use api::report::Phase;
use tokio::time::Instant;

/// PostgreSQL cuts identifiers to so many bytes (NAMEDATALEN - 1).
const MAX_IDENTIFIER: usize = 63;

pub(super) async fn hold(
    held: &mut Held,
    end: Instant,
    announcer: Option<&Announcer>,
) -> Result<(), Ended> {
    let Some(announcer) = announcer else {
        return held.silence(end).await;
    };
    held.session().listen_for(announcer.channel());
    held.request(&format!("LISTEN \"{}\"", announcer.channel())).await?;
    held.silence(end).await?;
    held.enter(Phase::Proof);
    if held.life().listen.is_some() {
        let hearing = Box::pin(announcer.call(held)).await?;
        held.hears(hearing);
    }
    Ok(())
}

/// `probe_<topic>_<name>`, as long as an identifier may be: the end of a name is what differs. Names
/// are ASCII; whatever else a settings file says is dropped, so that it can be quoted.
#[must_use]
pub fn channel(name: &str, topic: &str) -> String {
    let separator = if topic.is_empty() { "" } else { "_" };
    let prefix = format!("probe_{topic}{separator}");
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let name: String = name.chars().filter(is_plain).collect();
    let cut = name.len().saturating_sub(MAX_IDENTIFIER - prefix.len());
    prefix + &name[cut..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_channel_is_an_identifier_of_our_own() {
        assert_eq!(channel("pulp-0f1e2-3_listen_Target", ""), "probe_pulp-0f1e2-3_listen_Target");
        assert_eq!(channel("pulp-3", "wakeup"), "probe_wakeup_pulp-3");
        assert_eq!(channel("a\"; DROP--ä", ""), "probe_aDROP--");
        let longest = format!("{}-0f1e2-3_{}_Control", "x".repeat(40), "w".repeat(40));
        let channel = channel(&longest, "");
        assert!(channel.len() == 63 && channel.contains("f1e2-3_w"), "{channel}");
    }
}

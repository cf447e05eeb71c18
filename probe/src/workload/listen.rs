//! A LISTEN on a channel of the run's own, then nothing.

use crate::held::{Ended, Held};
use tokio::time::Instant;

/// PostgreSQL cuts identifiers to so many bytes (NAMEDATALEN - 1).
const MAX_IDENTIFIER: usize = 63;

pub(super) async fn hold(held: &mut Held, end: Instant, run: &str) -> Result<(), Ended> {
    held.request(&format!("LISTEN {}", channel(run, ""))).await?;
    held.silence(end).await
}

/// `"probe_<topic>_<run>"`. Names of runs are ASCII; whatever else a settings file says is dropped.
pub(super) fn channel(run: &str, topic: &str) -> String {
    let separator = if topic.is_empty() { "" } else { "_" };
    let name: String = format!("probe_{topic}{separator}{run}")
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
        .take(MAX_IDENTIFIER)
        .collect();
    format!("\"{name}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_channel_is_an_identifier_of_our_own() {
        assert_eq!(channel("pulp-955-0f1e2-3", ""), "\"probe_pulp-955-0f1e2-3\"");
        assert_eq!(channel("pulp-3", "wakeup"), "\"probe_wakeup_pulp-3\"");
        assert_eq!(channel("a\"; DROP--ä", ""), "\"probe_aDROP--\"");
        assert_eq!(channel(&"x".repeat(99), "").len(), 65);
    }
}

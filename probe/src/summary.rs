//! A report for the terminal: one line for each way of ending.

use api::{Report, text};
use std::fmt::Write;

/// The report in lines of text.
#[must_use]
pub fn of(report: &Report) -> String {
    let mut lines = String::new();
    let name = &report.workload;
    if let Some(problem) = &report.problem {
        let _ = writeln!(lines, "{name}: {}: {}", problem.reason.as_str(), problem.message);
    }
    for ending in report.arms.iter().flat_map(|arm| &arm.endings) {
        let lived = ending.lifetime.map_or_else(String::new, |spread| {
            let (min, max) = (text::mmss(spread.min_ms), text::mmss(spread.max_ms));
            match min == max {
                true => format!(" at {min}"),
                false => format!(" at {min} to {max}"),
            }
        });
        let _ = writeln!(lines, "{name}: {} {}{lived}", ending.n, text::ending(ending));
    }
    for told in report.arms.iter().filter_map(|arm| arm.notifications.as_ref()) {
        let _ = writeln!(lines, "{name}: {}", text::notifications(told));
    }
    lines
}

//! How exactly a cut is timed: by the probe's release binary, beside the least that can notice one
//! (C and epoll) and beside the test plan's own method.

use crate::{
    cutter::{Cuts, Cutter, Way},
    figure::{Baseline, Figure},
    process::{self, in_c, in_python, timestamp},
};
use anyhow::{Context, Result, ensure};
use api::{pattern::Pattern, report::LaneEnd};
use jiff::{SignedDuration, Timestamp};
use lab::holding::{Holding, span};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    process::{Child, Command},
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until};

/// Cuts that a packet announces.
const ANNOUNCED: [Way; 3] = [Way::Message, Way::Fin, Way::Rst];
/// So many of each, for each of the two holders.
const CUTS: usize = 1000;
/// Time between two cuts.
const GAP: Duration = Duration::from_millis(2);
/// Neighbours on the machine's processors.
const NEIGHBOURS: usize = 3;

/// Cuts that only a write reveals.
const REVEALED: [Way; 2] = [Way::Forgotten, Way::Silent];
/// So many of each.
const REVEALED_CUTS: usize = 100;
/// Between two requests of a connection.
const BEAT: Duration = Duration::from_secs(1);

/// The plan's window of 50 minutes, scaled.
const WINDOW: Duration = Duration::from_secs(20);
/// So many cuts in it, spread evenly.
const WINDOW_CUTS: usize = 40;

/// How long connections are to be held; all are cut long before. They are opened over the first
/// seventh of it.
const HOLD: Duration = Duration::from_secs(60);

pub(crate) async fn figures() -> Result<Vec<Figure>> {
    let mut figures = announced("").await?;
    {
        let _neighbours: Vec<_> = (0..NEIGHBOURS).map(|_| Busy::start()).collect::<Result<_>>()?;
        figures.extend(announced(".busy").await?);
    }
    figures.extend(revealed().await?);
    figures.extend(plan_method().await?);
    Ok(figures)
}

/// Cuts connections of the probe and of the C holder in turn, and compares when each noticed.
async fn announced(suffix: &str) -> Result<Vec<Figure>> {
    let lanes = CUTS * ANNOUNCED.len();
    let (ours, theirs) = (Cutter::start().await?, Cutter::start().await?);
    let arguments = [theirs.port.to_string(), lanes.to_string()];
    let holder = in_c("holder.c", &[&arguments[0], &arguments[1], "bench", "bench"])?;
    theirs.opened(lanes).await;
    let probe = Holding::new(ours.port, "bench", "").connections(lanes).duration(HOLD);
    let probe = process::probe(probe, "2s")?;
    settled(&ours, lanes).await;
    let cutters = [&ours, &theirs].into_iter();
    let mut turns: Vec<_> = cutters.flat_map(|cutter| ANNOUNCED.map(|way| (cutter, way))).collect();
    for _ in 0..CUTS {
        // Shuffled: what came before leaves its traces in the processor's caches.
        turns.sort_by_cached_key(|_| RandomState::new().hash_one(()));
        for (cutter, way) in &turns {
            cutter.cut(*way)?;
            sleep(GAP).await;
        }
    }
    let seen = seen_by_probe(&probe.ended(HOLD).await?)?;
    let probe = errors(&ours.cuts(), &seen)?;
    let seen = seen_by_baseline(&holder.ended(HOLD).await?)?;
    let holder = errors(&theirs.cuts(), &seen)?;
    let figure = |way: Way| {
        let of = |errors: &Values| errors.get(&way).cloned().unwrap_or_default();
        Figure::spread(&format!("drop.error.{way}{suffix}"), "ms", of(&probe))
            .beside(Baseline::spread("C and epoll", of(&holder)))
    };
    Ok(ANNOUNCED.into_iter().map(figure).collect())
}

/// Cuts connections with a heartbeat so that only the next beat can show it, and asks whether the
/// cut lies in the interval that the probe reports.
async fn revealed() -> Result<Vec<Figure>> {
    let lanes = REVEALED_CUTS * REVEALED.len();
    let cutter = Cutter::start().await?;
    let interval_ms = u64::try_from(BEAT.as_millis())?;
    let pattern = Pattern::Heartbeat { interval_ms, statement: "SELECT 1".to_owned() };
    let holding = Holding::new(cutter.port, "bench", "").connections(lanes).duration(HOLD);
    let probe = process::probe(holding.pattern(pattern), "2s")?;
    settled(&cutter, lanes).await;
    for _ in 0..REVEALED_CUTS {
        for way in REVEALED {
            cutter.cut(way)?;
            sleep(BEAT / 20).await;
        }
    }
    let output = probe.ended(HOLD).await?;
    let cuts = cutter.cuts();
    let mut covered = 0;
    let mut widths = Values::new();
    for line in lines_of_cuts(&output)? {
        let lane: LaneEnd = serde_json::from_value(line)?;
        let port = u16::try_from(lane.local_port.context("no port")?)?;
        let (way, truth) = cuts.get(&port).context("a cut that was none")?;
        // A report is in whole milliseconds.
        let ((first, last), rounding) = (span(&lane), SignedDuration::from_millis(1));
        covered += usize::from((first - rounding..=last + rounding).contains(truth));
        widths.entry(*way).or_default().push(last.duration_since(first).as_secs_f64());
    }
    ensure!(widths.values().map(Vec::len).sum::<usize>() == lanes, "not every cut was noticed");
    let coverage = Figure::value("drop.interval.coverage", "%", percent(covered, lanes), lanes);
    let width = |(way, widths)| Figure::spread(&format!("drop.interval.width.{way}"), "s", widths);
    Ok([coverage].into_iter().chain(widths.into_iter().map(width)).collect())
}

/// Cuts connections that are held as the plan holds them.
async fn plan_method() -> Result<Vec<Figure>> {
    let cutter = Cutter::start().await?;
    let arguments =
        [cutter.port.to_string(), WINDOW_CUTS.to_string(), WINDOW.as_secs().to_string()];
    let script = in_python("plan_method.py", &arguments.each_ref().map(String::as_str))?;
    cutter.opened(WINDOW_CUTS).await;
    let start = Instant::now();
    let step = WINDOW / u32::try_from(WINDOW_CUTS)?;
    for (n, way) in [Way::Fin, Way::Forgotten].into_iter().cycle().take(WINDOW_CUTS).enumerate() {
        sleep_until(start + step * u32::try_from(n)? + step / 2).await;
        cutter.cut(way)?;
    }
    let seen = seen_by_baseline(&script.ended(WINDOW).await?)?;
    let cuts = cutter.cuts();
    let error = |(port, (form, at)): (&u16, &(String, Timestamp))| {
        (form == "dead").then_some(at.duration_since(cuts.get(port)?.1).as_secs_f64())
    };
    let errors: Vec<f64> = seen.iter().filter_map(error).collect();
    ensure!(errors.len() == WINDOW_CUTS, "not every cut was noticed");
    let shares = errors.iter().map(|error| error / WINDOW.as_secs_f64() * 100.0).collect();
    Ok(vec![
        Figure::spread("drop.error.plan_method", "s", errors),
        Figure::spread("drop.error.plan_method.share", "% window", shares),
    ])
}

/// Waits until all lanes are open and have nothing more to send than their pattern's.
async fn settled(cutter: &Cutter, lanes: usize) {
    let start = Instant::now();
    cutter.opened(lanes).await;
    let (_, last_lead_in) = process::schedule(lanes, HOLD);
    sleep_until(start + last_lead_in + Duration::from_secs(1)).await;
}

/// What was measured of each way.
type Values = BTreeMap<Way, Vec<f64>>;

/// What was noticed on a client's port, and when.
type Seen = BTreeMap<u16, (String, Timestamp)>;

/// Milliseconds from each cut until it was noticed.
fn errors(cuts: &Cuts, seen: &Seen) -> Result<Values> {
    ensure!(cuts.len() == seen.len(), "{} cuts, {} noticed", cuts.len(), seen.len());
    let mut errors = Values::new();
    for (port, (way, at)) in cuts {
        let (form, noticed) = seen.get(port).context("a cut was not noticed")?;
        ensure!(form.to_lowercase() == way.to_string(), "{way} was taken for {form}");
        let error = noticed.duration_since(*at).as_secs_f64() * 1000.0;
        errors.entry(*way).or_default().push(error);
    }
    Ok(errors)
}

fn lines_of_cuts(output: &str) -> Result<Vec<Value>> {
    let lines = output.lines().filter(|line| line.contains(r#""event":"cut""#));
    Ok(lines.map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn seen_by_probe(output: &str) -> Result<Seen> {
    let mut seen = Seen::new();
    for line in lines_of_cuts(output)? {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let port = line["localPort"].as_u64().context("no port")?;
        seen.insert(port.try_into()?, (text(&line["form"]["word"]), text(&line["time"]).parse()?));
    }
    Ok(seen)
}

fn seen_by_baseline(output: &str) -> Result<Seen> {
    let mut seen = Seen::new();
    for line in output.lines().filter(|line| *line != "open") {
        let mut words = line.split(' ');
        let mut word = || words.next().context("a short line");
        let (port, at, form) = (word()?.parse()?, timestamp(word()?)?, word()?.to_owned());
        seen.insert(port, (form, at));
    }
    Ok(seen)
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn percent(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64 * 100.0
}

/// A process that does nothing and takes all the time it gets.
struct Busy(Child);

impl Busy {
    fn start() -> Result<Self> {
        Ok(Self(Command::new("sh").args(["-c", "while :; do :; done"]).spawn()?))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

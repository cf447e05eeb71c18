//! Figures: `make bench`, `make bench AREA=drop`. Prints a table for each area and writes
//! target/bench/<area>.json. What each figure means is in docs/figures.md.

use anyhow::{Result, bail};

mod cutter;
mod diagnosis;
mod drop;
mod figure;
mod hold;
mod observe;
mod operator;
mod plan;
mod process;
mod rds;
mod usage;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    for area in std::env::args().skip(1) {
        usage::tell_whether_quiet(&area).await?;
        let (name, part) = area.split_once('.').map_or((&*area, None), |(n, p)| (n, Some(p)));
        let figures = match (name, part) {
            ("diagnosis", None) => diagnosis::figures().await?,
            ("drop", None) => drop::figures().await?,
            ("hold", None) => hold::figures().await?,
            ("observe", None) => observe::figures().await?,
            ("plan", None) => plan::figures().await?,
            ("rds", None) => rds::figures(),
            ("operator", part) => operator::figures(part).await?,
            _ => bail!(
                "{area}: the areas are diagnosis, drop, hold, observe, plan, rds and operator"
            ),
        };
        figure::publish(&area, &figures)?;
    }
    Ok(())
}

//! Figures: `make bench`, `make bench AREA=drop`. Prints a table for each area and writes
//! target/bench/<area>.json. What each figure means is in docs/figures.md.

use anyhow::{Result, bail};

mod cutter;
mod drop;
mod figure;
mod hold;
mod plan;
mod process;
mod run;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    for area in std::env::args().skip(1) {
        let figures = match area.as_str() {
            "drop" => drop::figures().await?,
            "hold" => hold::figures().await?,
            "plan" => plan::figures().await?,
            "run" => run::figures().await?,
            _ => bail!("{area}: the areas are drop, hold, plan and run"),
        };
        figure::publish(&area, &figures)?;
    }
    Ok(())
}

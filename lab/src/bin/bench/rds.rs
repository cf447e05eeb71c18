//! Whether an RDS Proxy is as it was after its change was interrupted: at each call of AWS, before it is carried out and
//! before its answer arrives, by SIGKILL and by SIGTERM.

use crate::figure::Figure;
use lab::{aws::Aws, overriding::moments};

/// Worlds of AWS's stand-in, in which moments are tried side by side.
const REGIONS: [&str; 4] = ["us-east-1", "us-east-2", "us-west-1", "us-west-2"];

pub(crate) fn figures() -> Vec<Figure> {
    let moments = moments::all(&REGIONS.map(Aws::region));
    print!("{}", moments::table(&moments));
    let count = |is_killed: bool| {
        let of_kind = moments.iter().filter(|it| it.is_killed == is_killed);
        (of_kind.clone().filter(|it| !it.is_right()).count(), of_kind.count())
    };
    [("killed", true), ("told", false)]
        .map(|(name, is_killed)| {
            let (wrong, n) = count(is_killed);
            Figure::count(&format!("rds.not_restored.{name}"), "proxies", wrong, n)
        })
        .into()
}

//! What is asked, in which order.

use crate::{
    args::Order, aws::Aws, clock::Clock, events, facts, inquiry::Inquiry, log, metrics, parameters,
    progress::Event,
};
use api::rds_proxy::{Evidence, evidence::Gap};
use std::time::Duration;
use tokio::time::timeout;

/// For all calls together, besides the waiting for metrics: less than the pod may take.
const CALLS: Duration = Duration::from_mins(2);

/// Asks for everything. What is known stands in `evidence` at any moment.
pub(crate) async fn collect(order: &Order, clock: Clock, evidence: &mut Evidence) {
    let request = &order.request;
    let (proxy, moment) = (&request.proxy, request.moment);
    Event::Started { run: &request.run, proxy: &proxy.name, region: &proxy.region, moment }
        .print(clock.now());
    let limit = order.patience + CALLS;
    if timeout(limit, ask(order, clock, evidence)).await.is_err() {
        let problem = format!("Not everything was answered within {} s.", limit.as_secs());
        evidence.gaps.push(Gap { permission: "rds:DescribeDBProxies".to_owned(), problem });
    }
}

/// Metrics come before events and log: while they are waited for, those come in as well.
async fn ask(order: &Order, clock: Clock, evidence: &mut Evidence) {
    let aws = match Aws::new(&order.request.proxy, order.credentials.as_deref()).await {
        Ok(aws) => aws,
        Err(gap) => {
            Event::Gap { ms: 0, gap: &gap }.print(clock.now());
            return evidence.gaps.push(gap);
        }
    };
    let mut inquiry = Inquiry::new(order, aws, clock, evidence);
    let databases = facts::ask(&mut inquiry).await;
    parameters::ask(&mut inquiry, &databases).await;
    metrics::ask(&mut inquiry).await;
    events::ask(&mut inquiry, &databases).await;
    log::ask(&mut inquiry).await;
}

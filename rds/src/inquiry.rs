//! Calls, and what became of them.

use crate::{
    args::Order,
    aws::Aws,
    clock::Clock,
    failure::{Failure, Reach},
    progress::Event,
    scrub::Scrubber,
};
use api::rds_proxy::{Evidence, evidence::Gap, request::Request};
use aws_sdk_rds::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use std::error::Error;
use tokio::time::Instant;

/// What is asked, and what is known by now.
pub(crate) struct Inquiry<'a> {
    pub(crate) order: &'a Order,
    pub(crate) request: &'a Request,
    pub(crate) aws: Aws,
    pub(crate) clock: Clock,
    pub(crate) evidence: &'a mut Evidence,
    pub(crate) scrubber: Scrubber,
    /// Services that are not asked any more; an empty word stands for all.
    given_up: Vec<String>,
}

impl<'a> Inquiry<'a> {
    pub(crate) fn new(
        order: &'a Order,
        aws: Aws,
        clock: Clock,
        evidence: &'a mut Evidence,
    ) -> Self {
        let mut scrubber = Scrubber::default();
        scrubber.host(order.request.host.as_deref());
        let request = &order.request;
        Self { order, request, aws, clock, evidence, scrubber, given_up: Vec::new() }
    }

    /// Awaits a call's answer. Where there is none, why is a gap; where no other call of the service can be
    /// answered either, none is made.
    pub(crate) async fn ask<T, E: Error + ProvideErrorMetadata + 'static>(
        &mut self,
        permission: &str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Option<T> {
        if self.given_up.iter().any(|service| permission.starts_with(service)) {
            return None;
        }
        let asked = Instant::now();
        let answer = call.await;
        let ms = asked.elapsed().as_millis();
        match answer {
            Ok(answer) => {
                Event::Asked { permission, ms }.print(self.clock.now());
                Some(answer)
            }
            Err(error) => {
                let failure = Failure::of(&error);
                match failure.reach(self.request.proxy.endpoint_url.is_some()) {
                    Reach::Call => {}
                    Reach::Service => self.given_up.extend(service(permission)),
                    Reach::All => self.given_up.push(String::new()),
                }
                let gap = failure.gap(permission, &self.request.proxy, &self.scrubber);
                Event::Gap { ms, gap: &gap }.print(self.clock.now());
                self.gap(gap);
                None
            }
        }
    }

    /// Asks for page after page, at most so many, and has each read, which tells the token of the next one. How many
    /// there were: those before one that is not answered have been read.
    pub(crate) async fn pages<T, E, C>(
        &mut self,
        permission: &str,
        most: usize,
        call: impl Fn(Option<String>) -> C,
        mut read: impl FnMut(T) -> Option<String>,
    ) -> usize
    where
        E: Error + ProvideErrorMetadata + 'static,
        C: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let mut token = None;
        for pages in 0..most {
            let Some(page) = self.ask(permission, call(token)).await else { return pages };
            token = read(page).filter(|token| !token.is_empty());
            if token.is_none() {
                return pages + 1;
            }
        }
        let problem = format!("AWS has more than the {most} pages that are read of it.");
        self.gap(Gap { permission: permission.to_owned(), problem });
        most
    }

    /// Asks for the entries of page after page: `split` tells those of one, and the token of the next.
    pub(crate) async fn entries<T, I, E, C>(
        &mut self,
        permission: &str,
        most: usize,
        call: impl Fn(Option<String>) -> C,
        split: impl Fn(T) -> (Option<Vec<I>>, Option<String>),
    ) -> Vec<I>
    where
        E: Error + ProvideErrorMetadata + 'static,
        C: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let mut entries = Vec::new();
        let read = |page| {
            let (some, token) = split(page);
            entries.extend(some.unwrap_or_default());
            token
        };
        self.pages(permission, most, call, read).await;
        entries
    }

    /// Notes a gap, unless another call had the same problem.
    pub(crate) fn gap(&mut self, gap: Gap) {
        if !self.evidence.gaps.iter().any(|known| known.problem == gap.problem) {
            self.evidence.gaps.push(gap);
        }
    }
}

fn service(permission: &str) -> Option<String> {
    permission.split(':').next().map(str::to_owned)
}

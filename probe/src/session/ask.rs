//! Requests and their answers.

use super::{Kind, Session, Sign};
use crate::{
    client::psycopg::Form,
    close::{self, Said},
    wire::{Frame, Row},
};
use api::{
    close_form::{MessageKind, ServerMessage},
    text,
};
use bytes::BytesMut;
use postgres_protocol::message::frontend;
use std::{io, time::Duration};
use tokio::time::{Instant, timeout_at};

/// What an answer said.
struct Answer {
    /// The error in it.
    refusal: Option<ServerMessage>,
    /// Commands that were completed.
    results: usize,
    /// Its rows, where they are kept.
    rows: Vec<Row>,
}

/// So many rows of an answer are kept: more than a server has sessions (and PgBouncer's SHOW CONFIG has a hundred).
const MAX_ROWS: usize = 10_000;

impl Session {
    /// Sends a statement that may take `length` as the client does, and waits for its answer: the
    /// error in it, if there is one.
    ///
    /// # Errors
    /// The session ended, or it gave no answer in time.
    pub async fn ask(
        &mut self,
        sql: &str,
        length: Duration,
    ) -> Result<Option<ServerMessage>, Sign> {
        if self.psycopg.as_ref().is_some_and(|psycopg| !psycopg.autocommit)
            && self.life.begin.is_none()
            && let Some(refusal) = self.query("BEGIN").await?
        {
            return Ok(Some(refusal));
        }
        let form = self.psycopg.as_mut().map_or(Form::Simple, |psycopg| psycopg.form(sql));
        let messages = match form {
            Form::Simple => simple(sql),
            Form::Prepared(name) => name.execute(),
            Form::Prepare(name) => {
                let prepared = self.exchange(name.prepare(sql), Duration::ZERO).await?;
                if prepared.refusal.is_some() {
                    return Ok(prepared.refusal);
                }
                if let Some(psycopg) = &mut self.psycopg {
                    psycopg.prepared(sql, name);
                }
                name.execute()
            }
        };
        let answer = self.exchange(messages, length).await?;
        if let Some(psycopg) = &mut self.psycopg {
            psycopg.sent(sql, answer.results);
        }
        Ok(answer.refusal)
    }

    /// Sends a statement of the client's own: a simple query, whoever it is.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub async fn query(&mut self, sql: &str) -> Result<Option<ServerMessage>, Sign> {
        Ok(self.exchange(simple(sql), Duration::ZERO).await?.refusal)
    }

    /// Asks a question of our own, on a connection that is not measured: its rows, or the error in
    /// their place.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub async fn rows(&mut self, sql: &str) -> Result<Result<Vec<Row>, ServerMessage>, Sign> {
        self.frames.keeps_rows = true;
        let answer = self.exchange(simple(sql), Duration::ZERO).await?;
        self.frames.keeps_rows = false;
        Ok(answer.refusal.map_or(Ok(answer.rows), Err))
    }

    /// The same, in words for a report: the rows, or the refusal in their place.
    ///
    /// # Errors
    /// How the session ended.
    pub async fn answer(&mut self, sql: &str) -> Result<Result<Vec<Row>, String>, String> {
        match self.rows(sql).await {
            Ok(answer) => {
                Ok(answer.map_err(|said| format!("{} {} {}", said.severity, said.code, said.text)))
            }
            Err(sign) => Err(text::form(&close::classify(self.drain(sign).await).form)),
        }
    }

    /// Sends messages, the last of which is answered by ReadyForQuery.
    async fn exchange(
        &mut self,
        messages: io::Result<BytesMut>,
        length: Duration,
    ) -> Result<Answer, Sign> {
        let messages = messages.map_err(|error| self.sign(Kind::Unsent(error)))?;
        let deadline = Instant::now() + length + self.observer.answer_timeout;
        self.send(&messages).await?;
        let (mut results, mut rows) = (0, Vec::new());
        loop {
            match timeout_at(deadline, self.frame()).await {
                Ok(Ok(Frame::Ready(_))) => break,
                Ok(Ok(Frame::Complete(_))) => results += 1,
                Ok(Ok(Frame::Row(row))) if rows.len() < MAX_ROWS => rows.push(row),
                Ok(Ok(_)) => {}
                Ok(Err(sign)) => return Err(sign),
                Err(_) => return Err(self.sign(Kind::Silence)),
            }
        }
        let mut said = std::mem::take(&mut self.said).into_iter();
        let refusal = said.find(|said| said.message.kind == MessageKind::Error);
        Ok(Answer { refusal: refusal.map(|said: Said| said.message), results, rows })
    }
}

fn simple(sql: &str) -> io::Result<BytesMut> {
    let mut message = BytesMut::new();
    frontend::query(sql, &mut message)?;
    Ok(message)
}

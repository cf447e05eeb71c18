//! What psycopg remembers of a connection's statements: it prepares one that comes for the sixth
//! time (psycopg 3.3, `_preparing.py`). Its limit of a hundred statements is beyond any workload.

use bytes::BytesMut;
use postgres_protocol::{IsNull, message::frontend};
use std::{collections::HashMap, io};

/// A statement is sent so often before it is prepared: psycopg's `prepare_threshold`.
const THRESHOLD: u32 = 5;

/// The memory of one connection.
#[derive(Debug)]
pub struct Psycopg {
    /// Whether no transaction is opened before a statement.
    pub autocommit: bool,
    statements: HashMap<String, Use>,
    /// How many names were given away.
    names: u32,
}

/// What was done with a statement so far.
#[derive(Clone, Copy, Debug)]
enum Use {
    /// Sent so often.
    Sent(u32),
    /// Prepared under this name.
    Prepared(Name),
}

/// The name of a prepared statement, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name(u32);

/// How a statement is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As a simple query.
    Simple,
    /// Prepared first, under this name.
    Prepare(Name),
    /// By the name under which it was prepared.
    Prepared(Name),
}

impl Psycopg {
    /// The memory of a new connection.
    #[must_use]
    pub fn new(autocommit: bool) -> Self {
        Self { autocommit, statements: HashMap::new(), names: 0 }
    }

    /// How this statement is to be sent now.
    pub fn form(&mut self, sql: &str) -> Form {
        match self.statements.get(sql) {
            Some(Use::Prepared(name)) => Form::Prepared(*name),
            Some(Use::Sent(n)) if *n >= THRESHOLD => {
                self.names += 1;
                Form::Prepare(Name(self.names - 1))
            }
            _ => Form::Simple,
        }
    }

    /// It was prepared.
    pub fn prepared(&mut self, sql: &str, name: Name) {
        self.statements.insert(sql.to_owned(), Use::Prepared(name));
    }

    /// It was sent, with so many results. One that the first time has not just one, because it was
    /// refused or is several, is not counted.
    pub fn sent(&mut self, sql: &str, results: usize) {
        match self.statements.get_mut(sql) {
            Some(Use::Sent(n)) => *n += 1,
            Some(Use::Prepared(_)) => {}
            None if results == 1 => drop(self.statements.insert(sql.to_owned(), Use::Sent(1))),
            None => {}
        }
    }
}

impl Name {
    /// The messages that prepare a statement under this name.
    ///
    /// # Errors
    /// The statement can't be written as a message.
    pub fn prepare(self, sql: &str) -> io::Result<BytesMut> {
        let mut messages = BytesMut::new();
        frontend::parse(&self.text(), sql, [], &mut messages)?;
        frontend::sync(&mut messages);
        Ok(messages)
    }

    /// The messages that execute it.
    ///
    /// # Errors
    /// It can't be written as a message.
    pub fn execute(self) -> io::Result<BytesMut> {
        let mut messages = BytesMut::new();
        let no_value = |(), _: &mut BytesMut| Ok(IsNull::Yes);
        // As text, all of it.
        frontend::bind("", &self.text(), [], [], no_value, [0], &mut messages)
            .map_err(|_| io::ErrorKind::InvalidInput)?;
        frontend::describe(b'P', "", &mut messages)?;
        frontend::execute("", 0, &mut messages)?;
        frontend::sync(&mut messages);
        Ok(messages)
    }

    fn text(self) -> String {
        format!("_pg3_{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The forms of a statement that is sent so often and always has so many results.
    fn forms(psycopg: &mut Psycopg, sql: &str, times: usize, results: usize) -> Vec<Form> {
        let mut send = || {
            let form = psycopg.form(sql);
            if let Form::Prepare(name) = form {
                psycopg.prepared(sql, name);
            }
            psycopg.sent(sql, results);
            form
        };
        (0..times).map(|_| send()).collect()
    }

    #[test]
    fn the_sixth_execution_prepares_and_each_statement_is_counted_for_itself() {
        use Form::{Prepare, Prepared, Simple};
        let mut psycopg = Psycopg::new(true);
        for (sql, name) in [("SELECT 1", Name(0)), ("SELECT 2", Name(1))] {
            assert_eq!(
                forms(&mut psycopg, sql, 7, 1),
                [Simple, Simple, Simple, Simple, Simple, Prepare(name), Prepared(name)]
            );
        }
    }

    #[test]
    fn what_is_refused_or_is_several_statements_is_never_prepared() {
        let mut psycopg = Psycopg::new(true);
        assert_eq!(forms(&mut psycopg, "SELECT no_such_column", 9, 0), [Form::Simple; 9]);
        assert_eq!(forms(&mut psycopg, "SELECT 1; SELECT 2", 9, 2), [Form::Simple; 9]);
    }
}

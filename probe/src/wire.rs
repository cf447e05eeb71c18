//! Bytes from the peer in, frames of PostgreSQL's protocol out (PostgreSQL documentation, chapter
//! "Frontend/Backend Protocol").
//!
//! Only what is evidence is decoded. Rows are counted as part of an answer and skipped, however
//! large, unless they are asked for. An empty buffer is given back: most connections are silent for hours.

use api::close_form::{MessageKind, ServerMessage};
use bytes::{Buf, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{ErrorFields, Header, Message};

use crate::scrub::Scrubber;

/// No frame that is decoded is larger; PostgreSQL's longest error texts are far below.
const MAX_FRAME: usize = 64 * 1024;

/// Cuts bytes into frames.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: BytesMut,
    /// Bytes of a skipped frame that are still to come.
    skip: usize,
    /// Whether rows are decoded.
    pub keeps_rows: bool,
}

/// A row as text; `None` is NULL.
pub type Row = Vec<Option<String>>;

/// A frame, as far as it matters.
#[derive(Debug)]
pub enum Frame {
    /// ErrorResponse or NoticeResponse.
    Said(RawMessage),
    /// An authentication request or its end.
    Auth(Auth),
    /// ParameterStatus.
    Parameter {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// CommandComplete, with the command.
    Complete(String),
    /// DataRow, where rows are kept.
    Row(Row),
    /// ReadyForQuery, with the transaction's state: `I`, `T` or `E`.
    Ready(u8),
    /// A frame of an answer whose content does not matter.
    Answer,
    /// NotificationResponse: it answers nothing.
    Notification {
        /// The channel.
        channel: String,
        /// What was written after it.
        payload: String,
    },
    /// Another frame that answers nothing: BackendKeyData.
    Aside,
}

/// What the server wants of a login.
#[derive(Debug)]
pub enum Auth {
    /// Nothing more: the login is done.
    Ok,
    /// The password as it is.
    Cleartext,
    /// The password hashed with this salt.
    Md5([u8; 4]),
    /// One of these SASL mechanisms.
    Sasl(Vec<String>),
    /// The next SASL message.
    SaslContinue(Vec<u8>),
    /// The last SASL message.
    SaslFinal(Vec<u8>),
    /// A method that is not supported: Kerberos, GSSAPI, SSPI.
    Unsupported(&'static str),
}

/// A message as it came: it may quote user, database or host name.
#[derive(Clone, Debug)]
pub struct RawMessage {
    kind: MessageKind,
    severity: String,
    code: String,
    text: String,
    routine: Option<String>,
}

/// The bytes are not PostgreSQL's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbage;

/// A field of a row; nothing where it is NULL, or the row has none.
#[must_use]
pub fn field(row: &Row, column: usize) -> Option<&str> {
    row.get(column)?.as_deref()
}

impl Frames {
    /// Takes bytes from the peer.
    pub fn push(&mut self, bytes: &[u8]) {
        let skipped = bytes.len().min(self.skip);
        self.skip -= skipped;
        self.buffer.extend_from_slice(bytes.get(skipped..).unwrap_or_default());
    }

    /// The next frame; `None` until its last byte has come.
    ///
    /// # Errors
    /// What came is not PostgreSQL's protocol.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Garbage> {
        let Some(header) = Header::parse(&self.buffer).map_err(|_| Garbage)? else {
            if self.buffer.is_empty() {
                self.buffer = BytesMut::new();
            }
            return Ok(None);
        };
        let length = usize::try_from(header.len()).map_err(|_| Garbage)? + 1;
        match header.tag() {
            b'T' | b'D' | b'I' | b'd' | b'c' | b'n' | b't' | b's' | b'1' | b'2' | b'3'
                if header.tag() != b'D' || !self.keeps_rows =>
            {
                let here = length.min(self.buffer.len());
                self.buffer.advance(here);
                self.skip = length - here;
                Ok(Some(Frame::Answer))
            }
            b'E' | b'N' | b'R' | b'S' | b'C' | b'D' | b'Z' | b'A' | b'K' | b'H'
                if length <= MAX_FRAME =>
            {
                if self.buffer.len() < length {
                    return Ok(None);
                }
                // An own piece, so that an error in it can't reach into what follows.
                let mut frame = self.buffer.split_to(length);
                match Message::parse(&mut frame) {
                    Ok(Some(message)) => Frame::of(message).map(Some).ok_or(Garbage),
                    Ok(None) | Err(_) => Err(Garbage),
                }
            }
            _ => Err(Garbage),
        }
    }
}

impl Frame {
    fn of(message: Message) -> Option<Self> {
        Some(match message {
            Message::ErrorResponse(body) => {
                Self::Said(RawMessage::new(MessageKind::Error, body.fields())?)
            }
            Message::NoticeResponse(body) => {
                Self::Said(RawMessage::new(MessageKind::Notice, body.fields())?)
            }
            Message::ParameterStatus(body) => Self::Parameter {
                name: body.name().ok()?.to_owned(),
                value: body.value().ok()?.to_owned(),
            },
            Message::CommandComplete(body) => Self::Complete(body.tag().ok()?.to_owned()),
            Message::DataRow(body) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let value =
                    |range: Option<_>| Ok(range.and_then(|r| body.buffer().get(r)).map(text));
                Self::Row(body.ranges().map(value).collect().ok()?)
            }
            Message::ReadyForQuery(body) => Self::Ready(body.status()),
            Message::NotificationResponse(body) => Self::Notification {
                // A pooler may pass on a stranger's, which may be written as it likes.
                channel: body.channel().unwrap_or_default().to_owned(),
                payload: body.message().unwrap_or_default().to_owned(),
            },
            Message::AuthenticationOk => Self::Auth(Auth::Ok),
            Message::AuthenticationCleartextPassword => Self::Auth(Auth::Cleartext),
            Message::AuthenticationMd5Password(body) => Self::Auth(Auth::Md5(body.salt())),
            Message::AuthenticationSasl(body) => {
                let mechanisms = body.mechanisms().map(|name| Ok(name.to_owned()));
                Self::Auth(Auth::Sasl(mechanisms.collect().ok()?))
            }
            Message::AuthenticationSaslContinue(body) => {
                Self::Auth(Auth::SaslContinue(body.data().to_vec()))
            }
            Message::AuthenticationSaslFinal(body) => {
                Self::Auth(Auth::SaslFinal(body.data().to_vec()))
            }
            Message::AuthenticationKerberosV5 => Self::Auth(Auth::Unsupported("Kerberos")),
            Message::AuthenticationScmCredential => Self::Auth(Auth::Unsupported("SCM")),
            Message::AuthenticationGss | Message::AuthenticationGssContinue(_) => {
                Self::Auth(Auth::Unsupported("GSSAPI"))
            }
            Message::AuthenticationSspi => Self::Auth(Auth::Unsupported("SSPI")),
            Message::CopyOutResponse(_) => Self::Answer,
            _ => Self::Aside,
        })
    }
}

impl RawMessage {
    fn new(kind: MessageKind, mut fields: ErrorFields<'_>) -> Option<Self> {
        let mut message = Self {
            kind,
            severity: String::new(),
            code: String::new(),
            text: String::new(),
            routine: None,
        };
        while let Some(field) = fields.next().ok()? {
            let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                // V is never translated, but older servers and poolers send only S.
                b'V' => message.severity = value,
                b'S' if message.severity.is_empty() => message.severity = value,
                b'C' => message.code = value,
                b'M' => message.text = value,
                b'R' => message.routine = Some(value),
                _ => {}
            }
        }
        Some(message)
    }

    /// Whether the session is over by this message alone.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.kind == MessageKind::Error && matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }

    /// Whether it is an ErrorResponse.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.kind == MessageKind::Error
    }

    /// The message as it may be shown.
    #[must_use]
    pub fn scrubbed(&self, scrubber: &Scrubber) -> ServerMessage {
        let short = |text: &str, length| scrubber.clean(text).chars().take(length).collect();
        ServerMessage {
            kind: self.kind,
            severity: short(&self.severity, 16),
            code: short(&self.code, 8),
            text: scrubber.clean(&self.text),
            routine: self.routine.as_deref().map(|routine| short(routine, 64)),
        }
    }
}

#[cfg(test)]
mod tests;

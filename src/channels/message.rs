//! Messages of any channel, as the core reads and writes them.

use std::sync::Arc;

/// The account itself, as its service knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bot {
    pub id: Arc<str>,
    /// Without an `@`.
    pub username: Arc<str>,
}

/// Something that happened at the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Grows with each update of an account.
    pub id: u64,
    /// None for what is of no interest; it counts as taken all the same.
    pub message: Option<Incoming>,
    /// A chat has another id from now on: the old and the new one.
    pub moved: Option<(Arc<str>, Arc<str>)>,
}

/// A message that somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    pub chat: Chat,
    pub sender: Sender,
    /// The service's id of it, for answers that quote it.
    pub message_id: Arc<str>,
    /// What was written, or the caption of a file.
    pub text: String,
    /// When it was written.
    pub unix_ms: u64,
    /// It names this account, answers one of its messages or is a command for it.
    pub is_for_us: bool,
    /// What it answers.
    pub quote: Option<Quote>,
    pub files: Vec<FileRef>,
}

/// Where something was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    pub place: Place,
    /// More than two take part.
    pub is_group: bool,
    pub title: Option<Arc<str>>,
}

/// Where to write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub chat: Arc<str>,
    /// A topic within the chat.
    pub thread: Option<Arc<str>>,
}

/// Who wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Never changes and is nobody else's.
    pub id: Arc<str>,
    /// Without an `@`; may change, and may become somebody else's.
    pub username: Option<Arc<str>>,
    /// For people.
    pub name: Arc<str>,
}

/// A message that another one answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    pub name: Arc<str>,
    pub text: String,
}

/// A file that came with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRef {
    /// What kind of message it is: `photo`, `voice`, `document` …
    pub kind: &'static str,
    pub name: Option<Arc<str>>,
    /// The service's, to ask for it.
    pub id: Arc<str>,
    /// As its sender calls it.
    pub media_type: Option<Arc<str>>,
    /// As the service says.
    pub bytes: Option<u64>,
}

/// A file that is sent.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    pub name: Arc<str>,
    pub bytes: Arc<[u8]>,
    /// It is sent as it is, also where it is a picture.
    pub is_document: bool,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "File({:?}, {} bytes)", self.name, self.bytes.len())
    }
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    pub place: Place,
    /// In the service's own markup.
    pub text: Arc<str>,
    /// A photo or document to send with the text: an `https` address.
    pub media_url: Option<Arc<str>>,
    /// The same of our own.
    pub file: Option<File>,
    /// The message that it answers.
    pub reply_to: Option<Arc<str>>,
}

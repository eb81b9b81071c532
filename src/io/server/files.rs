//! Files that the core asks for, on a thread of their own: the loop never waits for a disk.

use super::source::{Source, variable};
use super::tls::Tls;
use crate::config::payload::{get_payload, written_payload};
use crate::config::plan::{self, WriteKind, WriteRequest, plan_write};
use crate::gateway::{Fetch, FetchResult, LoadedConfig};
use crate::io::state_dir::StartFault;
use crate::io::tls::Acceptor;
use crate::io::{config_file, log, static_files, zone_files};
use crate::limits::FILE_REQUESTS_MAX;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

enum Question {
    Fetch { ticket: u64, fetch: Fetch },
    Reload,
    Certificate,
    Stop,
}

/// What the thread has found.
pub enum Answer {
    Fetched { ticket: u64, result: FetchResult },
    Reloaded(Result<Box<LoadedConfig>, String>),
    Certificate(Result<Acceptor, String>),
}

/// The loop's end of the thread.
pub struct Files {
    questions: Sender<Question>,
    answers: Receiver<Answer>,
    thread: JoinHandle<()>,
}

impl Files {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the system gives none.
    pub fn start(
        source: Source,
        log_settings: log::LogSettings,
        log_path: String,
        tls: Option<Tls>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<Self, StartFault> {
        let (questions, asked) = bounded::<Question>(FILE_REQUESTS_MAX);
        let (found, answers) = bounded(FILE_REQUESTS_MAX);
        let reader = Reader {
            source,
            log_settings,
            log_path,
            tls,
        };
        let thread = std::thread::Builder::new()
            .name("files".into())
            .stack_size(256 * 1024)
            .spawn(move || {
                for question in asked {
                    if matches!(question, Question::Stop) {
                        return;
                    }
                    let Some(answer) = reader.answer(question) else {
                        continue;
                    };
                    if found.send(answer).is_err() {
                        return;
                    }
                    wake();
                }
            })
            .map_err(|fault| StartFault::io("start a thread for", Path::new("files"), fault))?;
        Ok(Self {
            questions,
            answers,
            thread,
        })
    }

    /// Asks; the answer comes at once where the queue is full.
    pub fn fetch(&self, ticket: u64, fetch: Fetch) -> Option<Answer> {
        match self.questions.try_send(Question::Fetch { ticket, fetch }) {
            Ok(()) => None,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Some(Answer::Fetched {
                ticket,
                result: FetchResult::Failed("too many files are asked for; try again".into()),
            }),
        }
    }

    /// Reads the configuration and the certificate again. A full queue is no loss: it holds a
    /// reload already, or the operator signals again.
    pub fn reload(&self) {
        let _ = self.questions.try_send(Question::Reload);
        let _ = self.questions.try_send(Question::Certificate);
    }

    /// The same for another thread.
    pub fn reloader(&self) -> impl Fn() + Send + 'static {
        let questions = self.questions.clone();
        move || {
            let _ = questions.try_send(Question::Reload);
        }
    }

    /// Reads the certificate again, from another thread.
    pub fn certificate_reloader(&self) -> impl Fn() + Send + 'static {
        let questions = self.questions.clone();
        move || {
            let _ = questions.try_send(Question::Certificate);
        }
    }

    /// The next answer, if there is one.
    pub fn try_answer(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }

    /// Ends the thread after what it is doing.
    pub fn stop(self) {
        let Self {
            questions,
            answers,
            thread,
        } = self;
        // Answers that nobody takes any more must not hold the thread up.
        drop(answers);
        let _ = questions.send(Question::Stop);
        // A panic was reported where it happened.
        let _ = thread.join();
    }
}

struct Reader {
    source: Source,
    log_settings: log::LogSettings,
    log_path: String,
    tls: Option<Tls>,
}

impl Reader {
    /// None where there is nothing to say.
    fn answer(&self, question: Question) -> Option<Answer> {
        Some(match question {
            Question::Fetch { ticket, fetch } => Answer::Fetched {
                ticket,
                result: self.fetch(fetch),
            },
            Question::Reload => {
                Answer::Reloaded(self.reload().map(Box::new).map_err(|fault| fault.message))
            }
            Question::Certificate => {
                let acceptor = self.tls.as_ref()?.acceptor();
                Answer::Certificate(acceptor.map_err(|fault| fault.message))
            }
            Question::Stop => return None,
        })
    }

    fn fetch(&self, fetch: Fetch) -> FetchResult {
        match fetch {
            Fetch::LogTail {
                cursor,
                limit,
                max_bytes,
            } => match log::tail(Path::new(&self.log_path), cursor, limit, max_bytes) {
                Ok(tail) => FetchResult::LogTail(tail),
                Err(fault) => FetchResult::Failed(format!("{}: {fault}", self.log_path)),
            },
            Fetch::Config => match self.source.read() {
                Ok(document) => FetchResult::Config(get_payload(&document, &variable)),
                Err(fault) => FetchResult::Failed(fault.message),
            },
            Fetch::WriteConfig {
                kind,
                raw,
                base_hash,
            } => self.write_config(kind, &raw, base_hash.as_deref()),
            Fetch::Zone { name } => zone_files::read(name.as_deref()),
            Fetch::StaticFile { root, path } => static_files::read(&PathBuf::from(root), &path),
            // Asked elsewhere: a daemon may take longer than a disk, and the loop counts itself.
            Fetch::Person { .. } => FetchResult::Person(None),
            Fetch::Load => FetchResult::Missing,
        }
    }

    fn reload(&self) -> Result<LoadedConfig, StartFault> {
        let loaded = self.source.reload()?;
        self.source.tell_log(&loaded, &self.log_settings);
        Ok(loaded)
    }

    fn write_config(&self, kind: WriteKind, raw: &str, base_hash: Option<&str>) -> FetchResult {
        let before = match self.source.read() {
            Ok(document) => document,
            Err(fault) => return FetchResult::Failed(fault.message),
        };
        let request = WriteRequest {
            kind,
            raw,
            base_hash,
        };
        let plan = match plan_write(&before, request, &variable) {
            Ok(plan) => plan,
            Err(refusal) => return FetchResult::ConfigRefused(refusal),
        };
        // A document that this start would refuse must not be left behind for the next one.
        let loaded = match self
            .source
            .resolve(plan.document.clone())
            .and_then(|loaded| self.source.with_generated_secret(loaded))
        {
            Ok(loaded) => loaded,
            Err(fault) => return FetchResult::Failed(fault.message),
        };
        let written = if plan.document.text() == before.text() {
            Ok(())
        } else {
            config_file::write(&self.source.options.paths, before.hash(), plan.text())
        };
        match written {
            Ok(()) => {
                self.source.tell_log(&loaded, &self.log_settings);
                FetchResult::ConfigWritten {
                    payload: written_payload(&loaded.document),
                    at_next_start: plan.at_next_start(&before, &variable),
                    loaded: Box::new(loaded),
                }
            }
            Err(config_file::WriteFault::Changed) => {
                FetchResult::ConfigRefused(plan::Refusal::HashStale)
            }
            Err(fault) => FetchResult::Failed(fault.to_string()),
        }
    }
}

//! A chat service that is made up: what people wrote, what it was told is taken, what it was sent.
//!
//! It outlives the process. It keeps an update until a poll says that it was taken, as Telegram's
//! does, and takes every message that reaches it, also twice.

use super::Driver;
use crate::channels::{
    Bot, Chat, Done, Fault, Incoming, Job, Order, Outbound, Place, Report, Sender, Update,
};
use crate::gateway::Input;
use crate::limits::CHANNEL_POLL_MS;
use std::collections::VecDeque;
use std::sync::Arc;

/// The service and the orders that wait for it.
#[derive(Default)]
pub struct Service {
    /// Orders are answered only by [`Driver::serve_next`].
    pub held: bool,
    /// What people wrote and nobody said was taken.
    updates: Vec<Update>,
    /// The number of the last update; the next has one more.
    pub given: u64,
    /// Chats in which it showed that somebody is writing, in order.
    pub typing: Vec<Place>,
    /// It was told where to bring updates to.
    pub is_hooked: bool,
    /// Every message that it took, in order, as it reads now.
    pub sent: Vec<Outbound>,
    /// How often one of them was changed.
    pub edits: usize,
    /// Ids of those that somebody took away.
    pub deleted: Vec<Arc<str>>,
    pub(super) orders: VecDeque<Order>,
    poll: Option<Poll>,
}

/// A poll that waits for news.
struct Poll {
    slot: u64,
    ticket: u64,
    after: Option<u64>,
    /// When it is answered without any, on the monotonic clock.
    until_mono_ms: u64,
}

/// What becomes of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done and answered.
    Done,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It never arrives, and that is known.
    NotDone,
    /// The same, and the service names half a minute to wait.
    Busy,
}

impl Service {
    /// Somebody writes alone with the bot; the number of the update.
    pub fn write(&mut self, sender: &str, text: &str) -> u64 {
        let place = Place {
            chat: sender.into(),
            thread: None,
        };
        let chat = Chat {
            place,
            is_group: false,
            title: None,
        };
        self.write_in(chat, sender, text, false)
    }

    /// Somebody writes somewhere.
    pub fn write_in(&mut self, chat: Chat, sender: &str, text: &str, is_for_us: bool) -> u64 {
        self.given += 1;
        let message = Incoming {
            chat,
            sender: Sender {
                id: sender.into(),
                username: None,
                name: format!("User {sender}").into(),
            },
            message_id: self.given.to_string().into(),
            text: text.into(),
            unix_ms: 0,
            is_for_us,
            quote: None,
            files: Vec::new(),
        };
        self.updates.push(Update {
            id: self.given,
            message: Some(message),
            moved: None,
        });
        self.given
    }

    /// A chat gets another id; the number of the update.
    pub fn move_chat(&mut self, from: &str, to: &str) -> u64 {
        self.given += 1;
        self.updates.push(Update {
            id: self.given,
            message: None,
            moved: Some((from.into(), to.into())),
        });
        self.given
    }

    /// Texts that were sent to a chat.
    pub fn sent_to(&self, chat: &str) -> Vec<&str> {
        let to = self.sent.iter().filter(|it| *it.place.chat == *chat);
        to.map(|it| &*it.text).collect()
    }

    /// Whether another order comes before a message to be sent.
    pub fn next_is_no_message(&self) -> bool {
        let next = self.orders.front();
        next.is_some_and(|order| {
            !matches!(
                order,
                Order::Call {
                    job: Job::Send(_) | Job::Edit { .. },
                    ..
                }
            )
        })
    }

    /// Updates that nobody said were taken.
    pub fn left(&self) -> usize {
        self.updates.len()
    }

    /// The process is gone with its connections; orders that had not arrived never do.
    pub(super) fn lose(&mut self) {
        self.orders.clear();
        self.poll = None;
    }

    /// When the poll that waits is over.
    pub(super) fn next_deadline_ms(&self) -> Option<u64> {
        self.poll.as_ref().map(|poll| poll.until_mono_ms)
    }

    fn news(&mut self, mono_ms: u64) -> Option<Report> {
        let poll = self.poll.as_ref()?;
        if let Some(after) = poll.after {
            self.updates.retain(|update| update.id > after);
        }
        if self.updates.is_empty() && poll.until_mono_ms > mono_ms {
            return None;
        }
        let Poll { slot, ticket, .. } = self.poll.take()?;
        let result = Ok(Done::Updates(self.updates.clone()));
        Some(Report {
            slot,
            ticket,
            result,
        })
    }

    fn execute(&mut self, mono_ms: u64, order: Order, fate: Fate) -> Option<Report> {
        let Order::Call { slot, ticket, job } = order else {
            return None;
        };
        let done = match job {
            Job::Poll { after, .. } if fate == Fate::Done => {
                self.poll = Some(Poll {
                    slot,
                    ticket,
                    after,
                    until_mono_ms: mono_ms + CHANNEL_POLL_MS,
                });
                return self.news(mono_ms);
            }
            Job::Identify => Done::Bot(Bot {
                id: "99".into(),
                username: "test_bot".into(),
            }),
            Job::Send(message) if !matches!(fate, Fate::NotDone | Fate::Busy) => {
                self.sent.push(message);
                Done::Sent(self.sent.len().to_string().into())
            }
            Job::Edit {
                message_id,
                message,
            } if !matches!(fate, Fate::NotDone | Fate::Busy) => {
                let at = message_id.parse::<usize>().ok();
                let gone = self.deleted.contains(&message_id);
                let sent = at.and_then(|at| self.sent.get_mut(at - 1));
                match sent.filter(|_| !gone) {
                    Some(sent) => sent.text = message.text,
                    None => {
                        let result = Err(Fault::Gone("message to edit not found".into()));
                        return Some(Report {
                            slot,
                            ticket,
                            result,
                        });
                    }
                }
                self.edits += 1;
                Done::Sent(message_id)
            }
            Job::Typing(place) => {
                self.typing.push(place);
                Done::Nothing
            }
            Job::Fetch { file, .. } if fate != Fate::NotDone => {
                Done::File(file.id.as_bytes().into())
            }
            Job::Hook => {
                self.is_hooked = true;
                Done::Nothing
            }
            Job::Poll { .. } | Job::Send(_) | Job::Edit { .. } | Job::Fetch { .. } => Done::Nothing,
        };
        let result = match fate {
            Fate::Done => Ok(done),
            Fate::AnswerLost => Err(Fault::Unknown("the line is cut".into())),
            Fate::NotDone => Err(Fault::Later("nobody is there".into())),
            Fate::Busy => Err(Fault::Busy {
                retry_after_ms: 30_000,
                text: "too many".into(),
            }),
        };
        Some(Report {
            slot,
            ticket,
            result,
        })
    }
}

impl Driver {
    /// Whether an order waits for the service.
    pub fn has_orders(&self) -> bool {
        !self.service.orders.is_empty()
    }

    /// The service does the next order; whether anything moved.
    pub fn serve_next(&mut self, fate: Fate) -> bool {
        let report = match self.service.orders.pop_front() {
            Some(order) => self.service.execute(self.now.mono_ms, order, fate),
            None => match self.service.news(self.now.mono_ms) {
                Some(news) => Some(news),
                None => return false,
            },
        };
        if let Some(report) = report {
            self.handle(Input::Channel(report));
        }
        true
    }
}

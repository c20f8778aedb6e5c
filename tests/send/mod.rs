//! End to end: `send`.

mod attachments;
mod content;
mod crash;
mod delivery;
mod denial;
mod doubt;
mod failover;
mod hold;
mod invalid_mail;
mod mail_id;
mod outage;
mod pace;
mod redrive;
mod rejection;
mod sent_event;
mod stop;
mod waiting;

//! End to end: `send`.

mod crash;
mod delivery;
mod doubt;
mod invalid_mail;
mod mail_id;
mod outage;
mod pace;
mod rejection;
mod stop;

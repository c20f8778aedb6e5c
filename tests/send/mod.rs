//! End to end: `send`.

mod crash;
mod delivery;
mod doubt;
mod invalid_mail;
mod mail_id;
mod pace;
mod rejection;
mod stop;

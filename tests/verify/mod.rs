//! End to end: `verify`.

mod assurance;
mod configuration;
mod credential;
mod dead_letters;
mod erasure;
mod mails;
mod onboarding;
mod onboarding_link;
mod page;
mod page_region;
mod policy;
mod reading;
mod resend;
mod suspension;
mod test_mail;
mod watch;

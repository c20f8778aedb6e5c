//! End to end: `verify`.

mod assurance;
mod configuration;
mod credential;
mod onboarding;
mod onboarding_link;
mod page;
mod page_region;
mod policy;
mod reading;
mod suspension;
mod test_mail;
mod watch;

//! End to end: `verify`.

mod assurance;
mod credential;
mod onboarding;
mod onboarding_link;
mod page;
mod policy;
mod reading;
mod test_mail;

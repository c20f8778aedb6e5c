//! End to end: `verify`.

mod assurance;
mod credential;
mod onboarding;
mod policy;
mod reading;
mod test_mail;

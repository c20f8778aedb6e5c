//! End to end: `verify`.

mod credential;
mod onboarding;
mod policy;
mod reading;

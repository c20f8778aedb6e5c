//! The onboarding page in Chromium, driven over WebDriver as a person drives it.
//!
//! These tests want Debian's `chromium` and `chromium-driver`, and in `AXE_JS` the path of axe-core's `axe.min.js`, so they run
//! only if they are asked for: `AXE_JS=… cargo test -p local --test browser -- --ignored`. `.ci/run` installs both and does that.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot continue fails")]

#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "shared with the end-to-end tests, which use all of it")]
mod support;

mod access;
mod axe;
mod driver;
mod mistakes;
mod refusals;
mod region;
mod repair;
mod story;
mod tabs;
mod walker;

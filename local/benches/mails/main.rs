//! Prints how mail flows: `cargo bench -p local --bench mails`, or with `-- ` and names only some of it.
//!
//! - `rate`: how much of 14/s and of 300/s is used while 20 environments of `send` share it, and the requests that a mail takes.
//! - `fairness`: how long a quiet tenant's mail waits among 200 tenants, 51 of whom have more to send than their accounts take.
//! - `parked`: what parking 100,000 mails costs, how they are released and in which order, and the memory that it takes.
//! - `attachment`: what a mail with a file of 10 MB takes, and ten of them at a time.
//! - `cpu`: the CPU time that a mail takes; alone, `FUNCTIONS` may name several folders, separated by `:`, which are measured in turn.
//! - `faults`: breaks everything that 10,000 mails of 20 tenants need, for some 25 minutes; with `FAULT_RUN=short`, 400 mails in below four.
//!   The run fails, and names the mails, if one was lost, if SES accepted more copies than `on_doubt` allows, or if an account was sent more than
//!   its rate.
//!
//! `MAILS` is another number of mails for `parked`, `cpu` and `faults`, and `FUNCTIONS` a folder with functions as they are shipped, in place of those of this build. Machines
//! are noisy: compare figures of one run with each other, not with those of another day.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and fails if it cannot continue")]

mod attachment;
mod cpu;
mod fairness;
mod faults;
mod parked;
mod rate;
mod requests;
mod stack;

/// What can be named, in the order in which it runs.
const NAMES: [&str; 6] = ["rate", "fairness", "parked", "attachment", "cpu", "faults"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this program too, which has nothing to test.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let named: Vec<&str> = arguments.iter().map(String::as_str).filter(|argument| *argument != "--bench").collect();
    if let Some(unknown) = named.iter().find(|name| !NAMES.contains(name)) {
        panic!("{unknown} is none of {}", NAMES.join(", "));
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut has_kept_promises = true;
    for name in NAMES.into_iter().filter(|name| named.is_empty() || named.contains(name)) {
        runtime.block_on(async {
            match name {
                "rate" => rate::measure().await,
                "fairness" => fairness::measure().await,
                "parked" => parked::measure().await,
                "attachment" => attachment::measure().await,
                "cpu" => cpu::measure().await,
                _ => has_kept_promises = faults::run().await,
            }
        });
    }
    std::process::exit(i32::from(!has_kept_promises));
}

/// How many mails the environment asks for, or else the number here.
fn mails_or(default: usize) -> usize {
    std::env::var("MAILS").map_or(default, |mails| mails.parse().unwrap())
}

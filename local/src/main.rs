//! The whole stack on one machine.

mod aws;
mod cli;
mod demo;
mod faults;
mod gateway;
mod lambda;
mod policy;
mod serve;
mod template;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser as _;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let started = Instant::now();
    let cli = Cli::parse();
    let outcome = match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Policy(command) => return policy::run(command),
        Command::Function { name, bootstrap } => block_on(false, function(&name, bootstrap.as_deref())),
        Command::Serve(arguments) => block_on(true, serve::run(arguments, started)),
        Command::Demo(arguments) => block_on(true, serve::demo(arguments, started)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if standard error is closed.
            let _ = writeln!(std::io::stderr(), "local: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A function's process is single-threaded, as its `main.rs` makes it.
fn block_on(threads: bool, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut builder = if threads {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder.enable_all().build()?.block_on(work)
}

/// What the functions' own `main.rs` files do.
async fn function(name: &str, bootstrap: Option<&Path>) -> anyhow::Result<()> {
    lambda::die_with_parent();
    if let Some(path) = bootstrap {
        return Err(lambda::become_bootstrap(path)).with_context(|| format!("run {}", path.display()));
    }
    match name {
        "verify" => verify::run().await,
        "send" => send::run().await,
        "revoke" => revoke::run().await,
        "revoke-worker" => revoke::run_worker().await,
        _ => anyhow::bail!("there is no function {name}"),
    }
}

//! The whole stack on one machine.

mod aws;
mod cli;
mod console;
mod demo;
mod drill;
mod faults;
mod gateway;
mod lambda;
mod policy;
mod random;
mod serve;
mod serverless;
mod service;
mod stack;
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
    let result = match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Policy(command) => return policy::run(command),
        Command::Function { name, bootstrap } => {
            block_on(Runtime::CurrentThread, run_function(&name, bootstrap.as_deref()))
        }
        Command::Serve(arguments) => block_on(Runtime::MultiThread, serve::run(arguments, started)),
        Command::Demo(arguments) => block_on(Runtime::MultiThread, serve::demo(arguments, started)),
        Command::Drill(arguments) => block_on(Runtime::MultiThread, drill::run(&arguments, started)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed, nobody reads the message.
            let _ = writeln!(std::io::stderr(), "local: {error:#}");
            ExitCode::FAILURE
        }
    }
}

enum Runtime {
    MultiThread,
    /// A function's process has one thread, as in the function's own `main.rs`.
    CurrentThread,
}

fn block_on(runtime: Runtime, command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut builder = match runtime {
        Runtime::MultiThread => tokio::runtime::Builder::new_multi_thread(),
        Runtime::CurrentThread => tokio::runtime::Builder::new_current_thread(),
    };
    builder.enable_all().build()?.block_on(command)
}

/// Runs a function as its own `main.rs` does.
async fn run_function(name: &str, bootstrap: Option<&Path>) -> anyhow::Result<()> {
    lambda::die_with_parent();
    if let Some(path) = bootstrap {
        return Err(lambda::exec_bootstrap(path)).with_context(|| format!("run the bootstrap {}", path.display()));
    }
    match name {
        "verify" => verify::run().await,
        "verify-worker" => verify::run_worker().await,
        "send" => send::run().await,
        "revoke" => revoke::run().await,
        "revoke-worker" => revoke::run_worker().await,
        _ => anyhow::bail!("there is no function {name}"),
    }
}

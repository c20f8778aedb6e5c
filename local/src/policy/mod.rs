//! `policy check | explain | cases`: the policy checks at the command line.

mod cases;
mod check;
mod explain;
mod input;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use shared::tenant::Region;

use crate::console::print_error_line;

/// Says exactly what IAM policies allow, and what is too much.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Checks a user's policies: enough for the product, and nothing beyond? Exits 0 if so, 1 if not, 2 if a file
    /// cannot be read.
    Check(CheckArguments),
    /// Says whether policies allow one request, and which statement decides.
    Explain(ExplainArguments),
    /// Runs case files; exits 1 if a case fails.
    Cases {
        /// JSON lines of evaluation, verdict or document cases.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// What to check, for whom.
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The documents, all attached to the same user.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The account, twelve digits; if absent, the one that the documents name.
    #[arg(long)]
    account_id: Option<String>,
    /// The user's name without path; if absent, the one that the documents name.
    #[arg(long)]
    user_name: Option<String>,
    /// The user's path, such as /service/.
    #[arg(long)]
    user_path: Option<String>,
    /// Where mail is sent; if absent, the Regions that the documents name.
    #[arg(long, value_parser = Region::parse)]
    region: Option<Region>,
    /// The address that all requests come from, for conditions on aws:SourceIp.
    #[arg(long)]
    source_ip: Option<String>,
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
}

/// The request to explain.
#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The documents.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The action, such as ses:SendEmail.
    #[arg(long)]
    action: String,
    /// The ARN of the resource, or *.
    #[arg(long)]
    resource: String,
    /// Context keys; a key given twice is multivalued. What is not given is absent.
    #[arg(long, num_args = 1.., value_name = "KEY=VALUE", value_parser = input::parse_context_key)]
    context: Vec<(String, String)>,
    /// Prints the decision as JSON.
    #[arg(long)]
    json: bool,
}

/// Exit code: the verdict is bad, or a case fails.
const REJECTED: u8 = 1;

/// Exit code: a file or an argument cannot be read.
const UNREADABLE: u8 = 2;

/// Runs a command. Its result goes to standard output, the reason why it cannot run to standard error.
pub(crate) fn run(command: PolicyCommand) -> ExitCode {
    let mut out = io::stdout().lock();
    let result = match command {
        PolicyCommand::Check(arguments) => check::run(&arguments, &mut out),
        PolicyCommand::Explain(arguments) => explain::run(&arguments, &mut out),
        PolicyCommand::Cases { files } => cases::run(&files, &mut out),
    };
    match result.and_then(|code| out.flush().map(|()| code)) {
        Ok(code) => ExitCode::from(code),
        // The reader closed the pipe (`| head`). Nobody reads a message, but no script may take that for a good verdict.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(UNREADABLE),
        Err(error) => {
            let _unwritable = print_error_line(format_args!("cannot write the result to standard output: {error}"));
            ExitCode::from(UNREADABLE)
        }
    }
}

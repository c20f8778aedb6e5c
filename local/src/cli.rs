//! The command line.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::policy::PolicyCommand;

/// The whole stack on one machine: the functions of template.yaml, and a stand-in for AWS that enforces signatures,
/// policies and roles. Nothing leaves this machine unless --tenant-aws says so, and nothing is kept when it ends.
#[derive(Parser)]
#[command(name = "local", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: ServeArguments,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Bring the stack up and say what to type next (what happens without a command)
    Serve(ServeArguments),
    /// Watch the main job: a key is onboarded, mail is sent, a breach is reported, the key is revoked
    Demo(DemoArguments),
    /// The same against a deployed stack, with a throw-away IAM user of your own account
    ///
    /// Makes an IAM user in your account, onboards its key as a canary, sends mail to SES's mailbox simulator, reports the key by
    /// POST /drills and sees it dead; prints how long that took, and what AWS says about each fact that the code only assumes.
    /// User and key are removed again, also on an error and on Ctrl-C; what a drill left that was killed is removed by the next one,
    /// an hour later.
    ///
    /// Credentials come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN:
    /// `eval "$(aws configure export-credentials --profile NAME --format env)"`. README, "Drill a deployed stack", has the IAM policy
    /// that they need. With AWS_ENDPOINT_URL it asks another endpoint than AWS, and says so.
    Drill(DrillArguments),
    /// Check what IAM policies allow, and what is too much
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Run a function against a Runtime API; `serve` starts its execution environments with this command
    #[command(hide = true)]
    Function {
        /// The name of the function's binary.
        name: String,
        /// Become this program instead of the function in this binary.
        #[arg(long)]
        bootstrap: Option<PathBuf>,
    },
}

#[derive(Args, Clone)]
pub(crate) struct ServeArguments {
    /// Port of the AWS stand-in on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 4566)]
    pub(crate) aws_port: u16,
    /// Port of the HTTP API on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 9000)]
    pub(crate) api_port: u16,
    #[command(flatten)]
    pub(crate) stack: StackArguments,
    /// Leave sending halted, as a first deployment is until somebody sends DELETE /halt
    #[arg(long)]
    pub(crate) halted: bool,
    /// Stop when standard input is closed, so that a test leaves nothing running
    #[arg(long, hide = true)]
    pub(crate) until_stdin_closes: bool,
}

#[derive(Args, Clone)]
pub(crate) struct DemoArguments {
    /// Print a link to the onboarding page and a tenant's console to walk it with in a browser, until Ctrl-C
    #[arg(long)]
    pub(crate) browser: bool,
    /// Port of the AWS stand-in on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) aws_port: u16,
    /// Port of the HTTP API on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) api_port: u16,
    #[command(flatten)]
    pub(crate) stack: StackArguments,
}

#[derive(Args, Clone)]
pub(crate) struct DrillArguments {
    /// The name of the CloudFormation stack
    #[arg(long, value_name = "NAME")]
    pub(crate) stack: String,
    /// The Region it is deployed in; AWS_REGION where it is not given
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// Sender of the mail: an address that is verified in SES of this account and Region
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) from: String,
    /// Also write times and facts as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Minutes after which a user of an earlier drill is taken for left behind
    #[arg(long, value_name = "MINUTES", default_value_t = 60, hide = true)]
    pub(crate) leftover_age: u64,
}

#[derive(Args, Clone)]
pub(crate) struct StackArguments {
    /// Run DIR/NAME/bootstrap as `cargo lambda build` makes them, instead of the functions in this binary
    #[arg(long, value_name = "DIR")]
    pub(crate) functions: Option<PathBuf>,
    /// Another template than the one this binary was built with
    #[arg(long, value_name = "FILE")]
    pub(crate) template: Option<PathBuf>,
    /// A parameter of the template, such as SendMaximumConcurrency=5; may be given more than once
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parse_parameter)]
    pub(crate) parameters: Vec<(String, String)>,
    /// The most execution environments of one function; each is a process
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) max_environments: u32,
    /// Also append the functions' log lines to DIR/FUNCTION.log
    #[arg(long, value_name = "DIR")]
    pub(crate) log_dir: Option<PathBuf>,
    /// Show the functions' log lines on standard error
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Where tenants' AWS is: `stand-in`, `real`, or the URL of something between
    #[arg(long, value_name = "WHERE", default_value = "stand-in", value_parser = parse_tenant_aws)]
    pub(crate) tenant_aws: TenantAws,
}

/// Where calls that are signed with tenants' keys go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TenantAws {
    /// To the stand-in, where each tenant has an account of its own.
    StandIn,
    /// To AWS.
    Real,
    /// To this URL.
    Url(String),
}

impl StackArguments {
    /// The parameters of the template, by name.
    pub(crate) fn parameters(&self) -> BTreeMap<String, String> {
        self.parameters.iter().cloned().collect()
    }
}

/// An address of this machine only.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn parse_parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE, such as LogLevel=debug")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn parse_tenant_aws(text: &str) -> Result<TenantAws, String> {
    match text {
        "stand-in" => Ok(TenantAws::StandIn),
        "real" => Ok(TenantAws::Real),
        url if url.starts_with("http://") || url.starts_with("https://") => Ok(TenantAws::Url(url.to_owned())),
        _ => Err("expected `stand-in`, `real` or a URL".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default_command() {
        let cli = Cli::parse_from(["local", "--api-port", "0"]);
        assert!(cli.command.is_none());
        assert_eq!((cli.serve.aws_port, cli.serve.api_port), (4566, 0));
    }
}

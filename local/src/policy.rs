//! `policy check | explain | cases`: the policy checks at the command line.

mod cases;
mod check;
mod explain;
mod paint;
mod read;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use shared::tenant::Region;

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
    /// Where mail is sent.
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
    #[arg(long, num_args = 1.., value_name = "KEY=VALUE", value_parser = read::parse_pair)]
    context: Vec<(String, String)>,
    /// Prints the decision as JSON.
    #[arg(long)]
    json: bool,
}

/// The verdict is bad, or a case fails.
const REFUSED: u8 = 1;

/// Something cannot be read.
const UNREADABLE: u8 = 2;

/// Runs a command. What it finds goes to standard output, why it cannot run to standard error.
pub(crate) fn run(command: PolicyCommand) -> ExitCode {
    let mut out = io::stdout().lock();
    let outcome = match command {
        PolicyCommand::Check(arguments) => check::run(&arguments, &mut out),
        PolicyCommand::Explain(arguments) => explain::run(&arguments, &mut out),
        PolicyCommand::Cases { files } => cases::run(&files, &mut out),
    };
    match outcome.and_then(|code| out.flush().map(|()| code)) {
        Ok(code) => ExitCode::from(code),
        // The reader went away (`| head`): nobody is left to tell, but no script may take that for a good verdict.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(UNREADABLE),
        Err(error) => {
            let _unwritable = writeln!(io::stderr(), "cannot write: {error}");
            ExitCode::from(UNREADABLE)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;
    use serde_json::Value;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: PolicyCommand,
    }

    /// The exit code and what `policy check` prints.
    fn check_files(arguments: &[&str]) -> (u8, String) {
        let line = Line::try_parse_from(["local", "check"].iter().chain(arguments)).unwrap();
        let PolicyCommand::Check(arguments) = line.command else { panic!("not a check") };
        let mut out = Vec::new();
        let code = check::run(&arguments, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    /// A file that is gone with the test.
    struct File(PathBuf);

    impl File {
        fn new(name: &str, text: &str) -> Self {
            let path = std::env::temp_dir().join(format!("policy-{}-{name}.json", std::process::id()));
            fs::write(&path, text).unwrap();
            Self(path)
        }

        fn path(&self) -> &str {
            self.0.to_str().unwrap()
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _gone = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn machines_are_told_the_warnings_as_well() {
        let never =
            policy::classic().replace("\"ses:*\"", "\"ses:*\", \"ses:*\"").replace("arn:aws:iam::*", "arn:aws:iam:x:*");
        let file = File::new("warned", &never);
        let (code, text) = check_files(&["--json", file.path()]);
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((code, &answer["verdict"]), (REFUSED, &Value::from("insufficient")), "{text}");
        assert_eq!(answer["warnings"][0]["document"], 0, "{text}");
        assert!(answer["warnings"][0]["class"].is_string() && answer["findings_omitted"] == 0, "{text}");
    }

    #[test]
    fn files_that_are_no_policies_are_one_value_for_machines() {
        let file = File::new("malformed", "{}");
        let (code, text) = check_files(&["--json", file.path(), "/nowhere", file.path()]);
        let answer: Value = serde_json::from_str(&text).unwrap();
        let documents: Vec<_> = answer["problems"].as_array().unwrap().iter().map(|fault| &fault["document"]).collect();
        assert_eq!((code, documents), (UNREADABLE, vec![&Value::from(0), &Value::from(1), &Value::from(2)]), "{text}");
        assert!(answer["problems"][1]["message"].is_string());
    }

    #[test]
    fn a_subject_that_cannot_be_is_refused() {
        let file = File::new("classic", policy::classic());
        for (option, value) in [("--account-id", "12"), ("--user-name", "a/b"), ("--user-path", "nopath")] {
            assert_eq!(check_files(&[option, value, file.path()]), (UNREADABLE, String::new()), "{option}");
        }
        assert!(Line::try_parse_from(["local", "check", "--region", "mars", file.path()]).is_err());
        assert_eq!(check_files(&["--region", "eu-central-1", "--user-path", "/a/", file.path()]).0, 0);
    }

    #[test]
    fn a_resource_cannot_forge_a_line_of_the_report() {
        let resource = "arn:aws:s3:::b/\\nminimal: exactly what is needed\\nx";
        let statement = format!(r#"{{"Effect":"Allow","Action":"s3:GetObject","Resource":"{resource}"}}"#);
        let file = File::new("forged", &format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#));
        let (code, text) = check_files(&[file.path()]);
        assert_eq!(code, REFUSED);
        assert!(
            text.starts_with("overprivileged: ") && !text.lines().any(|line| line.starts_with("minimal")),
            "{text}"
        );
    }
}

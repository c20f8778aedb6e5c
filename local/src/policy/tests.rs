//! `policy check` as it is called at the command line.

use std::fs;

use clap::Parser;
use serde_json::Value;

use super::*;

#[derive(Parser)]
struct TestCli {
    #[command(subcommand)]
    command: PolicyCommand,
}

/// The exit code and what `policy check` prints.
fn check_files(arguments: &[&str]) -> (u8, String) {
    let cli = TestCli::try_parse_from(["local", "check"].iter().chain(arguments)).unwrap();
    let PolicyCommand::Check(arguments) = cli.command else { panic!("not a check") };
    let mut out = Vec::new();
    let code = check::run(&arguments, &mut out).unwrap();
    (code, String::from_utf8(out).unwrap())
}

/// A file that is deleted at the end of the test.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("policy-{}-{name}.json", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.0);
    }
}

#[test]
fn the_json_report_contains_the_warnings() {
    let ineffective =
        policy::classic().replace("\"ses:*\"", "\"ses:*\", \"ses:*\"").replace("arn:aws:iam::*", "arn:aws:iam:x:*");
    let file = TemporaryFile::new("warned", &ineffective);
    let (code, text) = check_files(&["--json", file.path()]);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &report["verdict"]), (REJECTED, &Value::from("insufficient")), "{text}");
    assert_eq!(report["warnings"][0]["document"], 0, "{text}");
    assert!(report["warnings"][0]["class"].is_string() && report["findings_omitted"] == 0, "{text}");
}

#[test]
fn the_json_report_of_unreadable_files_is_one_object() {
    let file = TemporaryFile::new("malformed", "{}");
    let (code, text) = check_files(&["--json", file.path(), "/nowhere", file.path()]);
    let report: Value = serde_json::from_str(&text).unwrap();
    let documents: Vec<_> = report["problems"].as_array().unwrap().iter().map(|problem| &problem["document"]).collect();
    assert_eq!((code, documents), (UNREADABLE, vec![&Value::from(0), &Value::from(1), &Value::from(2)]), "{text}");
    assert!(report["problems"][1]["message"].is_string());
}

#[test]
fn a_subject_that_cannot_exist_is_rejected() {
    let file = TemporaryFile::new("classic", policy::classic());
    for (option, value) in
        [("--account-id", "12"), ("--user-name", "a/b"), ("--user-path", "nopath"), ("--source-ip", "home")]
    {
        assert_eq!(check_files(&[option, value, file.path()]), (UNREADABLE, String::new()), "{option}");
    }
    assert!(TestCli::try_parse_from(["local", "check", "--region", "mars", file.path()]).is_err());
    assert_eq!(check_files(&["--region", "eu-central-1", "--user-path", "/a/", file.path()]).0, 0);
}

#[test]
fn a_resource_cannot_forge_a_line_of_the_report() {
    let resource = "arn:aws:s3:::b/\\nminimal: exactly what is needed\\nx";
    let statement = format!(r#"{{"Effect":"Allow","Action":"s3:GetObject","Resource":"{resource}"}}"#);
    let file = TemporaryFile::new("forged", &format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#));
    let (code, text) = check_files(&[file.path()]);
    assert_eq!(code, REJECTED);
    assert!(text.starts_with("overprivileged: ") && !text.lines().any(|line| line.starts_with("minimal")), "{text}");
}

#[test]
fn what_the_aws_cli_prints_is_unwrapped_and_the_output_says_so() {
    let printed = format!(r#"{{"PolicyVersion":{{"VersionId":"v1","Document":{}}}}}"#, policy::classic());
    let file = TemporaryFile::new("printed", &printed);
    let (code, text) = check_files(&[file.path()]);
    assert!(code == 0 && text.contains("the Document in PolicyVersion was read"), "{text}");
    let (code, text) = check_files(&["--json", file.path()]);
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &answer["unwrapped"][0]["part"]), (0, &Value::from("PolicyVersion.Document")), "{text}");
}

#[test]
fn a_missing_permission_comes_with_its_remedy_and_several_regions_with_a_question() {
    let allow = |region: &str| {
        format!(r#"{{"Effect":"Allow","Action":"ses:*","Resource":"arn:aws:ses:{region}:123456789012:*"}}"#)
    };
    let statements = [allow("eu-central-1"), allow("eu-west-1")].join(",");
    let file = TemporaryFile::new("regions", &format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#));
    let (code, text) = check_files(&[file.path()]);
    assert_eq!(code, REJECTED);
    assert!(text.contains("eu-central-1, eu-west-1") && text.contains("(--region)"), "{text}");
    assert!(text.contains("it is called without a resource, which no ARN covers"), "{text}");
    assert!(!check_files(&["--region", "eu-west-1", file.path()]).1.contains("question"));
}

//! Files and arguments.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use policy::{DocumentProblem, MAX_BYTES, PolicyDocument};
use serde::Serialize;

use super::paint::printable;

/// What is wrong with one of the files.
#[derive(Serialize)]
struct Fault {
    file: String,
    /// Index of the file, counted from 0.
    document: usize,
    #[serde(flatten)]
    what: What,
}

#[derive(Serialize)]
#[serde(untagged)]
enum What {
    Unreadable { message: String },
    Malformed(DocumentProblem),
}

/// Reads all documents, or tells on standard error why not, and with `json` as one object on `out`.
pub(super) fn read_documents(
    files: &[PathBuf],
    json: bool,
    out: &mut dyn Write,
) -> io::Result<Option<Vec<PolicyDocument>>> {
    let mut documents = Vec::new();
    let mut problems = Vec::new();
    for (document, path) in files.iter().enumerate() {
        let file = path.display().to_string();
        match read_file(path, MAX_BYTES).map(PolicyDocument::parse) {
            Ok(Ok(read)) => documents.push(read),
            Ok(Err(error)) => problems.extend(error.problems().iter().map(|problem| Fault {
                file: file.clone(),
                document,
                what: What::Malformed(problem.clone()),
            })),
            Err(error) => {
                problems.push(Fault { file, document, what: What::Unreadable { message: error.to_string() } });
            }
        }
    }
    if problems.is_empty() {
        return Ok(Some(documents));
    }
    for Fault { file, what, .. } in &problems {
        match what {
            What::Unreadable { message } => tell(format_args!("{file}: {message}"))?,
            What::Malformed(problem) => tell(format_args!("{file}: {problem}"))?,
        }
    }
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&serde_json::json!({ "problems": problems }))?)?;
    }
    Ok(None)
}

/// Reads a file, but not much more than `limit` bytes of it: what is longer is refused for its size by whoever reads
/// it.
pub(super) fn read_file(file: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(file)?.take(limit as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// Writes a line to standard error, where no text from a file can steer the terminal.
pub(super) fn tell(line: impl Display) -> io::Result<()> {
    writeln!(io::stderr(), "{}", printable(line))
}

/// Splits `key=value`.
pub(super) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, such as aws:username=mailer".to_owned()),
    }
}

//! Reads the files and arguments of the commands.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use policy::{DocumentProblem, MAX_BYTES, PolicyDocument};
use serde::Serialize;

use crate::console::print_error_line;

/// What is wrong with one of the files.
#[derive(Serialize)]
struct FileError {
    file: String,
    /// The index of the file, counted from 0.
    document: usize,
    #[serde(flatten)]
    kind: FileErrorKind,
}

#[derive(Serialize)]
#[serde(untagged)]
enum FileErrorKind {
    Unreadable { message: String },
    Malformed(DocumentProblem),
}

/// Reads all documents, also out of what the AWS CLI printed. If one cannot be read, prints why to standard error, with `json` also as one object to `out`, and
/// returns `None`.
pub(super) fn read_documents(
    files: &[PathBuf],
    json: bool,
    out: &mut dyn Write,
) -> io::Result<Option<Vec<PolicyDocument>>> {
    let mut documents = Vec::new();
    let mut errors = Vec::new();
    for (document, path) in files.iter().enumerate() {
        let file = path.display().to_string();
        match read_file(path, MAX_BYTES).map(PolicyDocument::read) {
            Ok(Ok(parsed)) => documents.push(parsed),
            Ok(Err(error)) => errors.extend(error.problems().iter().map(|problem| FileError {
                file: file.clone(),
                document,
                kind: FileErrorKind::Malformed(problem.clone()),
            })),
            Err(error) => {
                let kind = FileErrorKind::Unreadable { message: error.to_string() };
                errors.push(FileError { file, document, kind });
            }
        }
    }
    if errors.is_empty() {
        return Ok(Some(documents));
    }
    for FileError { file, kind, .. } in &errors {
        match kind {
            FileErrorKind::Unreadable { message } => print_error_line(format_args!("{file}: {message}"))?,
            FileErrorKind::Malformed(problem) => print_error_line(format_args!("{file}: {problem}"))?,
        }
    }
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&serde_json::json!({ "problems": errors }))?)?;
    }
    Ok(None)
}

/// Reads a file, but at most one byte more than `max_bytes`: the parser then rejects a longer file for its size.
pub(super) fn read_file(file: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(file)?.take(max_bytes as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// Parses a context key, `KEY=VALUE`.
pub(super) fn parse_context_key(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, such as aws:username=mailer".to_owned()),
    }
}

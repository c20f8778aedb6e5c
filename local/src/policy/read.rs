//! Files and arguments.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use policy::{Document, MAX_BYTES, Problem};
use serde::Serialize;

use super::paint::printable;

/// A file that is no policy.
#[derive(Serialize)]
struct Refusal<'f> {
    file: String,
    problems: &'f [Problem],
}

/// Reads all documents, or tells on `out` (`json`) or standard error why not.
pub(super) fn read_documents(files: &[PathBuf], json: bool, out: &mut dyn Write) -> io::Result<Option<Vec<Document>>> {
    let mut documents = Vec::new();
    let mut sound = true;
    for file in files {
        let Some(text) = read_file(file, MAX_BYTES)? else {
            sound = false;
            continue;
        };
        match Document::parse(&text) {
            Ok(document) => documents.push(document),
            Err(error) => {
                sound = false;
                let refusal = Refusal { file: file.display().to_string(), problems: error.problems() };
                if json {
                    writeln!(out, "{}", serde_json::to_string_pretty(&refusal)?)?;
                }
                for problem in error.problems() {
                    writeln!(io::stderr(), "{}", printable(format_args!("{}: {problem}", file.display())))?;
                }
            }
        }
    }
    Ok(sound.then_some(documents))
}

/// Reads a file, but not much more than `limit` bytes of it: what is longer is refused for its size by whoever reads it.
pub(super) fn read_file(file: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    let read = File::open(file).and_then(|open| open.take(limit as u64 + 1).read_to_end(&mut text));
    match read {
        Ok(_) => Ok(Some(text)),
        Err(error) => {
            writeln!(io::stderr(), "{}: {error}", file.display())?;
            Ok(None)
        }
    }
}

/// Splits `key=value`.
pub(super) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, such as aws:username=mailer".to_owned()),
    }
}

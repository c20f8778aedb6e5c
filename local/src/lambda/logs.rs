//! What the functions write to stdout and stderr, and what Lambda writes beside it.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// Lines kept in memory for each function; older ones are only in the log directory, where there is one.
const KEPT_LINES: usize = 20_000;

/// The lines of all functions.
#[derive(Debug)]
pub(crate) struct Logs {
    directory: Option<PathBuf>,
    functions: Mutex<BTreeMap<String, FunctionLog>>,
}

/// A line and the environment (log stream) it came from.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LogLine {
    /// The log stream: one for each execution environment.
    pub(crate) stream: String,
    /// The line without its end.
    pub(crate) line: String,
}

#[derive(Debug, Default)]
struct FunctionLog {
    lines: VecDeque<LogLine>,
    file: Option<File>,
}

impl Logs {
    /// A sink that also appends to `DIRECTORY/FUNCTION.log`, where a directory is given.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub(crate) fn new(directory: Option<PathBuf>) -> std::io::Result<Self> {
        if let Some(directory) = &directory {
            std::fs::create_dir_all(directory)?;
        }
        Ok(Self { directory, functions: Mutex::default() })
    }

    /// Takes a line. A file that cannot be written is said once a line, and the line is kept in memory.
    pub(crate) fn write(&self, function: &str, stream: &str, line: &str) {
        tracing::debug!(target: "local::function", function, "{line}");
        let mut functions = self.lock();
        let log = functions.entry(function.to_owned()).or_default();
        if let Some(directory) = &self.directory {
            let written = match &mut log.file {
                Some(file) => writeln!(file, "{line}"),
                None => OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(directory.join(format!("{function}.log")))
                    .and_then(|mut file| {
                        writeln!(file, "{line}")?;
                        log.file = Some(file);
                        Ok(())
                    }),
            };
            if let Err(error) = written {
                tracing::warn!(function, %error, "a log line was not written to its file");
            }
        }
        if log.lines.len() == KEPT_LINES {
            log.lines.pop_front();
        }
        log.lines.push_back(LogLine { stream: stream.to_owned(), line: line.to_owned() });
    }

    /// The lines in memory of one function, oldest first.
    pub(crate) fn lines(&self, function: &str) -> Vec<LogLine> {
        self.lock().get(function).map(|log| log.lines.iter().cloned().collect()).unwrap_or_default()
    }

    /// Takes every line of a pipe until its end. Bytes that are not UTF-8 are replaced, never dropped with their line.
    pub(super) async fn take(&self, function: &str, stream: &str, pipe: Option<impl AsyncRead + Unpin>) {
        let Some(pipe) = pipe else { return };
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        loop {
            line.clear();
            match pipe.read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => self.write(function, stream, String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r'])),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, FunctionLog>> {
        self.functions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_last_line_without_an_end_and_bad_bytes_are_kept() {
        let logs = Logs::new(None).unwrap();
        logs.take("f", "s", Some(&b"one\r\ntwo \xff\nthree"[..])).await;
        let lines: Vec<String> = logs.lines("f").into_iter().map(|line| line.line).collect();
        assert_eq!(lines, ["one", "two \u{fffd}", "three"]);
        assert!(logs.lines("g").is_empty());
    }

    #[test]
    fn lines_also_go_to_a_file_for_each_function() {
        let directory = std::env::temp_dir().join(format!("local-logs-{}", uuid::Uuid::new_v4()));
        let logs = Logs::new(Some(directory.clone())).unwrap();
        logs.write("f", "s", "one");
        logs.write("f", "s", "two");
        assert_eq!(std::fs::read_to_string(directory.join("f.log")).unwrap(), "one\ntwo\n");
        std::fs::remove_dir_all(directory).unwrap();
    }
}

//! The functions' logs: their standard output and standard error, and the lines that Lambda adds.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// The most lines kept in memory for one function. Older lines are only in the log directory, if there is one.
const MAX_LINES_KEPT: usize = 20_000;

/// The logs of all functions.
#[derive(Debug)]
pub(crate) struct FunctionLogs {
    directory: Option<PathBuf>,
    functions: Mutex<BTreeMap<String, LogBuffer>>,
}

/// A log line and the log stream it belongs to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LogLine {
    /// The log stream; each execution environment has one.
    pub(crate) stream: String,
    /// The line without its line end.
    pub(crate) line: String,
}

#[derive(Debug, Default)]
struct LogBuffer {
    lines: VecDeque<LogLine>,
    file: Option<File>,
}

impl FunctionLogs {
    /// Logs in memory that, if a directory is given, are also appended to `DIRECTORY/FUNCTION.log`.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub(crate) fn new(directory: Option<PathBuf>) -> std::io::Result<Self> {
        if let Some(directory) = &directory {
            std::fs::create_dir_all(directory)?;
        }
        Ok(Self { directory, functions: Mutex::default() })
    }

    /// Adds a line. If the file cannot be written, that is logged for each line, and the line is only kept in memory.
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
                let directory = directory.display();
                tracing::warn!(function, %directory, %error, "a function's log line was not written to --log-dir");
            }
        }
        if log.lines.len() == MAX_LINES_KEPT {
            log.lines.pop_front();
        }
        log.lines.push_back(LogLine { stream: stream.to_owned(), line: line.to_owned() });
    }

    /// The lines of one function that are in memory, oldest first.
    pub(crate) fn lines(&self, function: &str) -> Vec<LogLine> {
        self.lock().get(function).map(|log| log.lines.iter().cloned().collect()).unwrap_or_default()
    }

    /// Adds every line of a pipe until its end. Bytes that are not UTF-8 are replaced, so that no line is lost.
    pub(super) async fn read_pipe(&self, function: &str, stream: &str, pipe: Option<impl AsyncRead + Unpin>) {
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

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, LogBuffer>> {
        self.functions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_last_line_without_a_line_end_and_invalid_bytes_are_kept() {
        let logs = FunctionLogs::new(None).unwrap();
        logs.read_pipe("f", "s", Some(&b"one\r\ntwo \xff\nthree"[..])).await;
        let lines: Vec<String> = logs.lines("f").into_iter().map(|line| line.line).collect();
        assert_eq!(lines, ["one", "two \u{fffd}", "three"]);
        assert!(logs.lines("g").is_empty());
    }

    #[test]
    fn each_function_also_has_a_log_file() {
        let directory = std::env::temp_dir().join(format!("local-logs-{}", uuid::Uuid::new_v4()));
        let logs = FunctionLogs::new(Some(directory.clone())).unwrap();
        logs.write("f", "s", "one");
        logs.write("f", "s", "two");
        assert_eq!(std::fs::read_to_string(directory.join("f.log")).unwrap(), "one\ntwo\n");
        std::fs::remove_dir_all(directory).unwrap();
    }
}

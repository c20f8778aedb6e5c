//! `policy cases`: runs case files. Prints each failed case by name, and one line for each file.

use std::io::{self, Write};
use std::path::PathBuf;

use policy::run_cases;

use super::input::read_file;
use super::{REJECTED, UNREADABLE};
use crate::console::{TextStyle, Tone, escape_controls, print_error_line};

/// Case files are our own, so this limit only keeps a wrong path from filling the memory.
const MAX_FILE_BYTES: usize = 64 << 20;

pub(super) fn run(files: &[PathBuf], out: &mut dyn Write) -> io::Result<u8> {
    let style = TextStyle::from_environment();
    let mut code = 0;
    for file in files {
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
        let text = match read_file(file, MAX_FILE_BYTES) {
            Ok(text) => text,
            Err(error) => {
                print_error_line(format_args!("{}: {error}", file.display()))?;
                code = UNREADABLE;
                continue;
            }
        };
        let outcomes = run_cases(&String::from_utf8_lossy(&text));
        let mut failed = 0;
        for (outcome, failure) in outcomes.iter().filter_map(|outcome| Some((outcome, outcome.failure.as_ref()?))) {
            failed += 1;
            writeln!(out, "{}", escape_controls(format_args!("{}: {failure}", outcome.id)))?;
        }
        let line = format!("{name}: {} passed, {failed} failed", outcomes.len() - failed);
        writeln!(out, "{}", style.apply(if failed == 0 { Tone::Good } else { Tone::Bad }, &line))?;
        if failed > 0 {
            code = code.max(REJECTED);
        }
    }
    Ok(code)
}

//! `policy cases`: case files, every failure by name, a line for each file.

use std::io::{self, Write};
use std::path::PathBuf;

use policy::run_cases;

use super::paint::{Paint, Tone, printable};
use super::read::{read_file, tell};
use super::{REFUSED, UNREADABLE};

/// Case files are our own, so this only keeps a wrong path from filling the memory.
const MAX_FILE: usize = 64 << 20;

pub(super) fn run(files: &[PathBuf], out: &mut dyn Write) -> io::Result<u8> {
    let paint = Paint::new();
    let mut code = 0;
    for file in files {
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
        let text = match read_file(file, MAX_FILE) {
            Ok(text) => text,
            Err(error) => {
                tell(format_args!("{}: {error}", file.display()))?;
                code = UNREADABLE;
                continue;
            }
        };
        let outcomes = run_cases(&String::from_utf8_lossy(&text));
        let mut failed = 0;
        for (outcome, failure) in outcomes.iter().filter_map(|outcome| Some((outcome, outcome.failure.as_ref()?))) {
            failed += 1;
            writeln!(out, "{}", printable(format_args!("{}: {failure}", outcome.id)))?;
        }
        let line = format!("{name}: {} passed, {failed} failed", outcomes.len() - failed);
        writeln!(out, "{}", paint.paint(if failed == 0 { Tone::Good } else { Tone::Bad }, &line))?;
        if failed > 0 {
            code = code.max(REFUSED);
        }
    }
    Ok(code)
}

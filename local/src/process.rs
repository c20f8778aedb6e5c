//! Processes: that of a whole stack, and what any of them has used.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

/// A stack in a process of its own. It ends with this value, and with the process that holds it.
#[derive(Debug)]
pub struct StackProcess {
    /// The URL of its API.
    pub url: String,
    process: Child,
}

impl StackProcess {
    /// Starts `program`, which is `local`, as `serve` on free ports, with further arguments. The functions are those of the folder that the
    /// environment variable `FUNCTIONS` names, or of the program's own build.
    ///
    /// # Errors
    /// It cannot be started, or ends before it names its API.
    pub fn start(program: &str, arguments: &[&str], stderr: Stdio) -> Result<Self> {
        Self::with_functions(program, named_functions().as_deref(), arguments, stderr)
    }

    /// Starts it as [`Self::start`] does, with the functions of a folder.
    ///
    /// # Errors
    /// As there.
    pub fn with_functions(program: &str, functions: Option<&Path>, arguments: &[&str], stderr: Stdio) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["serve", "--aws-port", "0", "--api-port", "0", "--until-stdin-closes"]).args(arguments);
        if let Some(functions) = functions {
            command.arg("--functions").arg(functions);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut process = command.spawn().with_context(|| format!("start {program}"))?;
        let stdout = process.stdout.take().context("a process without standard output")?;
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let url = lines.find_map(|line| Some(line.strip_prefix("API")?.trim().to_owned()));
        let url = url.context("the stack ended before it named its API")?;
        // Nobody needs its later output, but it must not block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { url, process })
    }

    /// The id of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether the process has ended.
    ///
    /// # Errors
    /// The operating system cannot say.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.process.try_wait()?.is_some())
    }
}

impl Drop for StackProcess {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// The folder of functions that the environment variable `FUNCTIONS` names.
#[must_use]
pub fn named_functions() -> Option<PathBuf> {
    std::env::var_os("FUNCTIONS").map(PathBuf::from)
}

/// What a process has used since its start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Milliseconds of CPU in the program.
    pub user_ms: f64,
    /// Milliseconds of CPU in the kernel.
    pub system_ms: f64,
    /// MB in memory now.
    pub resident_mb: f64,
    /// MB in memory at most.
    pub peak_mb: f64,
}

impl Usage {
    /// What Linux says of a process.
    ///
    /// # Errors
    /// There is no such process, or this is not Linux.
    pub fn of(pid: i64) -> Result<Self> {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}"));
        Self::parse(&read("stat")?, &read("status")?).with_context(|| format!("the usage of process {pid}"))
    }

    /// Reads proc(5)'s `stat` (`utime` and `stime`, in hundredths of a second) and `status` (`VmRSS` and `VmHWM`, in KB).
    fn parse(stat: &str, status: &str) -> Option<Self> {
        // A program's name can have blanks and brackets.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |n: usize| Some(fields.get(n)?.parse::<f64>().ok()? * 10.0);
        let kilobytes = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
        };
        Some(Self {
            user_ms: ticks(11)?,
            system_ms: ticks(12)?,
            resident_mb: kilobytes("VmRSS:")?,
            peak_mb: kilobytes("VmHWM:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_from_proc_whatever_the_program_is_called() {
        let stat = "42 (a) (b c) S 1 42 42 0 -1 4194560 900 0 0 0 250 75 0 0 20 0 4 0 100 1000 10";
        let status = "Name:\ta) (b c\nVmHWM:\t   4096 kB\nVmRSS:\t   2048 kB\n";
        let usage = Usage { user_ms: 2500.0, system_ms: 750.0, resident_mb: 2.0, peak_mb: 4.0 };
        assert_eq!(Usage::parse(stat, status), Some(usage));
        assert_eq!(Usage::parse(stat, "Name:\ta zombie\n"), None);
        assert!(Usage::of(i64::from(std::process::id())).unwrap().peak_mb > 0.0);
    }
}

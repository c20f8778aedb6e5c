//! `policy check`: verdict, what is missing, what is too much, what to know.

use std::io::{self, Write};

use policy::{CheckOutput, Finding, PolicyReport, Principal, ProblemLevel, Severity, Verdict, check};

use super::paint::{Paint, Tone, printable};
use super::read::{read_documents, tell};
use super::{CheckArguments, REFUSED, UNREADABLE};

/// Further actions named in one finding.
const SHOWN: usize = 6;

pub(super) fn run(arguments: &CheckArguments, out: &mut dyn Write) -> io::Result<u8> {
    #[expect(clippy::disallowed_methods, reason = "the clock is taken at the program's edge")]
    let now = jiff::Timestamp::now();
    let subject = Principal {
        account_id: arguments.account_id.clone(),
        user_name: arguments.user_name.clone(),
        user_path: arguments.user_path.clone(),
        region: arguments.region.map(|region| region.as_str().to_owned()),
        source_ip: arguments.source_ip.clone(),
        now: Some(now.to_string()),
        ..Principal::default()
    };
    if let Some((field, problem)) = subject.invalid_field() {
        tell(format_args!("--{} {problem}", field.replace('_', "-")))?;
        return Ok(UNREADABLE);
    }
    let Some(documents) = read_documents(&arguments.files, arguments.json, out)? else { return Ok(UNREADABLE) };
    let report = check(&documents, &subject);
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&CheckOutput::new(&report, &documents))?)?;
    } else {
        let paint = Paint::new();
        for (file, document) in arguments.files.iter().zip(&documents) {
            for problem in document.warnings() {
                let (tone, level) = match problem.level {
                    ProblemLevel::Suggestion => (Tone::Quiet, "suggestion"),
                    ProblemLevel::Warning | ProblemLevel::Error => (Tone::Doubtful, "warning"),
                };
                let text = printable(format_args!("{}: {problem}", file.display()));
                writeln!(out, "{} {text}", paint.paint(tone, level))?;
            }
        }
        print_report(&report, paint, out)?;
    }
    Ok(if report.verdict.is_acceptable() { 0 } else { REFUSED })
}

fn print_report(report: &PolicyReport, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let (tone, meaning) = match report.verdict {
        Verdict::Minimal => (Tone::Good, "exactly what is needed"),
        Verdict::Sufficient => (Tone::Good, "all that is needed, and nothing that is too much"),
        Verdict::Insufficient => (Tone::Bad, "something that is needed is missing"),
        Verdict::Overprivileged => (Tone::Bad, "more than a key may be able to do"),
    };
    writeln!(out, "{}: {meaning}", paint.paint(tone, report.verdict.as_str()))?;
    let assumed = if report.principal.assumed.is_empty() {
        String::new()
    } else {
        format!(" (assumed: {})", report.principal.assumed.join(", "))
    };
    writeln!(
        out,
        "{}",
        paint.paint(Tone::Quiet, &format!("for {} in {}{assumed}", report.principal.user_arn, report.principal.region))
    )?;
    if !report.gaps.is_empty() {
        writeln!(out, "\n{}", paint.paint(Tone::Strong, "Missing"))?;
        for gap in &report.gaps {
            writeln!(out, "  {}", printable(&gap.explanation))?;
        }
    }
    print_findings("Findings", &report.findings, paint, out)?;
    if report.findings_omitted > 0 {
        let rest = format!("and {} more; mend these and check again", report.findings_omitted);
        writeln!(out, "  {}", paint.paint(Tone::Quiet, &rest))?;
    }
    print_findings("To know", &report.notices, paint, out)
}

fn print_findings(title: &str, findings: &[Finding], paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint.paint(Tone::Strong, title))?;
    for finding in findings {
        let tone = match finding.severity {
            Severity::Critical | Severity::High => Tone::Bad,
            Severity::Medium => Tone::Doubtful,
            Severity::Low => Tone::Quiet,
        };
        writeln!(
            out,
            "  {} {}",
            paint.paint(tone, &format!("{:8}", finding.severity.as_str())),
            printable(&finding.explanation)
        )?;
        if !finding.also.is_empty() {
            let mut names: Vec<&str> = finding.also.iter().map(|witness| witness.action.as_str()).take(SHOWN).collect();
            if finding.also.len() > SHOWN {
                names.push("…");
            }
            writeln!(out, "           {}", paint.paint(Tone::Quiet, &format!("also {}", names.join(", "))))?;
        }
    }
    Ok(())
}
